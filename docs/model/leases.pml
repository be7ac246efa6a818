/*
 * The lease protocol, for spin: daemons that share one database, and all that may
 * happen to them. docs/model.md says what is checked, within which bounds, and what
 * each name behind -D takes out.
 *
 * A lease may run out at any moment, whatever its owner does: nothing that is asserted
 * here rests on how long 10 s are. With -DCLOCKS, clocks run as fast as one another,
 * and what rests on that is asserted as well.
 *
 * Who stops for a while needs no step of its own: all others may go on meanwhile.
 * Each wait blocks, and each fault is counted: so every run ends, and "in the end" needs
 * no fairness.
 */

#ifndef SHARDS
#define SHARDS 1
#endif
#ifndef EVENTS
#define EVENTS 2    /* of each shard; up to 3 */
#endif
#ifndef INSTANCES
#define INSTANCES 1 /* of each shard, to which events belong in turn; up to 2 */
#endif
#ifndef FAULTS
#define FAULTS 2    /* of whatever kinds, beside what follows from them */
#endif

#define DAEMONS 2
#define PAIRS (DAEMONS * SHARDS)
#define PAIR(d, s) ((d) * SHARDS + (s))
#define OTHER(d) (1 - (d))

/* What the database has. */

#define NOBODY 0
#define NAME(d) ((d) + 1)  /* of the run of daemon d that lives */
#define ENDED 3            /* each name whose run is over: nobody is called so again */

byte owner[SHARDS], epoch[SHARDS];
bool ran_out[SHARDS];
byte version[SHARDS];             /* of the one state of each shard */
byte place[SHARDS * EVENTS];      /* of each event in the log; 0: not there */
byte counter;                     /* the row `log` */
byte cursor[SHARDS];              /* of the one sink */

#define EVENT(s, n) ((s) * EVENTS + (n) - 1)

/* A transaction, as the server sees it. */

#define FREE 0
#define OPEN 1       /* wrote, and holds the row that it wrote */
#define PLACED 2     /* holds the row `log` as well */
#define FENCED 3     /* holds the lease, too; COMMIT is sent, or is not yet */
#define COMMITTED 4  /* the answer, or what a look-up by its id says */
#define ABORTED 5

typedef Transaction {
    byte at;
    bool orphaned;  /* who began it is gone, or called otherwise now */
    byte epoch;     /* by which it was fenced */
    byte value;     /* the version, or where to move the cursor */
    byte place
};

Transaction change[PAIRS], move[PAIRS];
bool counting;      /* the row `log` is locked */

#define INSIDE(t) (t.at >= OPEN && t.at <= FENCED)

/* What a daemon has in memory, of each shard. */

bool dead[DAEMONS];
byte claimed[PAIRS];       /* the epoch in the answer that is under way */
byte releasing[PAIRS];     /* the epoch in a release that is under way */
byte known[PAIRS];         /* the epoch in which it owns the shard; 0: it does not */
bool loaded[PAIRS];
byte version_seen[PAIRS], cursor_seen[PAIRS];
byte batch[PAIRS];         /* a bit for each event that was read, until the cursor moves */
byte begun[PAIRS];         /* of these: the deadline was looked at, it will be sent */
byte taken[PAIRS];         /* of these: by the receiver, who said so */
bool late[PAIRS];          /* the local deadline has passed */
byte renewal[PAIRS];
bool vouched[PAIRS];       /* what is under way was sent 0.8 TTL ago at most */

#define IDLE 0
#define SENT 1
#define RENEWED 2
#define REFUSED 3

byte under_way[PAIRS];     /* messages for which nobody waits any more; they may arrive */

/* What only the properties look at. */

byte got[SHARDS];          /* a bit for each event that the receiver has */
byte repeatable[SHARDS];   /* a bit for each that was in flight when something happened */
bool strayed[PAIRS];       /* it sent something, and had lost the shard */

#define BIT(n) (1 << ((n) - 1))
#define BEFORE(n) (BIT(n) - 1)
#define EVERY BEFORE(EVENTS + 1)
#if INSTANCES == 1
#define PRIOR(n) BEFORE(n)
#else
#define PRIOR(n) ((n) == 3 -> BIT(1) : 0)
#endif

byte faults = FAULTS;

/* What protects, and what is left of it. */

#ifdef NAMELESS
#define NAMED(d, s) (owner[s] != NOBODY)
#else
#define NAMED(d, s) (owner[s] == NAME(d))
#endif

#define OWNS(d, s, e) (NAMED(d, s) && epoch[s] == (e))

#ifdef EPOCHLESS
#define PROVED(d, s, e) NAMED(d, s)
#else
#define PROVED(d, s, e) OWNS(d, s, e)
#endif

#ifdef UNFENCED
#define MAY_WRITE(d, s, e) true
#else
#define MAY_WRITE(d, s, e) PROVED(d, s, e)
#endif

#ifdef UNFENCED_CURSOR
#define MAY_MOVE(d, s, e) true
#else
#define MAY_MOVE(d, s, e) PROVED(d, s, e)
#endif

#ifdef UNLOCKED
#define SHARED(s) false
#else
#define HELD(d, s) (change[PAIR(d, s)].at == FENCED || move[PAIR(d, s)].at == FENCED)
#define SHARED(s) (HELD(0, s) || HELD(1, s))
#endif

#ifdef RENEWED_BY_NAME
#define KEEPS(d, s) (owner[s] == NAME(d))
#else
#define KEEPS(d, s) (owner[s] == NAME(d) && \
    (known[PAIR(d, s)] == epoch[s] || claimed[PAIR(d, s)] == epoch[s]))
#endif
#define KEPT(s) (KEEPS(0, s) || KEEPS(1, s))

#ifdef BLIND
#define CURRENT(p, s) true
#else
#define CURRENT(p, s) (version[s] == version_seen[p])
#endif

#ifdef REPEATED
#define RECORDED(s, n) false
#else
#define RECORDED(s, n) (place[EVENT(s, n)] != 0)
#endif

#ifdef UNCOUNTED
#define COUNTABLE true
#else
#define COUNTABLE (!counting)
#endif

#ifdef HASTY
#define QUIET(p) true
#else
#define QUIET(p) (!batch[p] && change[p].at == FREE && move[p].at == FREE)
#endif

#ifdef EARLY
#define PREPARED(p) loaded[p]
#else
#define PREPARED(p) true
#endif

#if defined(CLOCKS) && !defined(CARELESS)
#define IN_TIME(p) (!late[p])
#else
#define IN_TIME(p) true
#endif

#ifdef RELEASED_BY_NAME
#define FREES(d, s, e) NAMED(d, s)
#else
#define FREES(d, s, e) OWNS(d, s, e)
#endif

#ifdef MOVED_FIRST
#define ALL_TAKEN(p) true
#else
#define ALL_TAKEN(p) (taken[p] == batch[p])
#endif

#ifdef UNORDERED
#define NEXT(p, n) true
#else
#define NEXT(p, n) ((PRIOR(n) & batch[p] & ~taken[p]) == 0)
#endif

#define LATER(p, s, n) (place[EVENT(s, n)] > cursor_seen[p])
#if EVENTS == 1
#define WAITS(p, s) LATER(p, s, 1)
#elif EVENTS == 2
#define WAITS(p, s) (LATER(p, s, 1) || LATER(p, s, 2))
#else
#define WAITS(p, s) (LATER(p, s, 1) || LATER(p, s, 2) || LATER(p, s, 3))
#endif

/* One transaction at a time writes for a daemon (store/group.py). */
#if SHARDS == 1
#define ALONE(d) true
#else
#define ALONE(d) (change[PAIR(d, 0)].at == FREE && change[PAIR(d, 1)].at == FREE)
#endif

#define IN_FLIGHT(p) (begun[p] | taken[p])

inline roll_back(t)
{
    if
    :: t.at == PLACED || (t.at == FENCED && t.place != 0) -> counting = false
    :: else
    fi;
    t.at = ABORTED
}

inline forget(t)
{
    t.at = FREE; t.orphaned = false; t.epoch = 0; t.value = 0; t.place = 0
}

/* The transaction is nobody's any more; the server will end it. */
inline leave(t)
{
    if
    :: t.at == FREE || t.at >= COMMITTED -> forget(t)
    :: else -> t.orphaned = true
    fi
}

inline drop(p)
{
    known[p] = 0; late[p] = false; strayed[p] = false;
    batch[p] = 0; begun[p] = 0; taken[p] = 0;
#ifndef REMEMBERING
    loaded[p] = false; version_seen[p] = 0; cursor_seen[p] = 0
#endif
}

/* Daemon d begins anew, under another name; or is dead. */
inline begin_anew(d)
{
    k = 0;
    do
    :: k < SHARDS ->
        repeatable[k] = repeatable[k] | IN_FLIGHT(PAIR(d, k));
        under_way[PAIR(d, k)] = under_way[PAIR(d, k)] | begun[PAIR(d, k)];
        leave(change[PAIR(d, k)]);
        leave(move[PAIR(d, k)]);
        if
        :: owner[k] == NAME(d) -> owner[k] = ENDED
        :: else
        fi;
        drop(PAIR(d, k));
        claimed[PAIR(d, k)] = 0;
        releasing[PAIR(d, k)] = 0;
        renewal[PAIR(d, k)] = IDLE;
        vouched[PAIR(d, k)] = false;
        k++
    :: else -> break
    od;
    k = 0
}

/* The receiver takes an event, or takes it again. */
inline receive(s, n)
{
    if
    :: got[s] & BIT(n) -> assert(repeatable[s] & BIT(n))   /* 5: only what was in flight */
    :: else -> assert((got[s] & PRIOR(n)) == PRIOR(n))     /* 5: in order */
    fi;
    got[s] = got[s] | BIT(n)
}

/* What daemon d does for shard s. */
proctype daemon(byte d; byte s; byte p)
{
    byte k;

end:
    do
    /* It claims, and hears of it or does not. */
    :: d_step { !dead[d] && !known[p] && !claimed[p] && ran_out[s] &&
            !SHARED(s) && PREPARED(p) ->
        if
        :: owner[s] == NAME(OTHER(d)) ->
            repeatable[s] = repeatable[s] | IN_FLIGHT(PAIR(OTHER(d), s))
        :: else
        fi;
        owner[s] = NAME(d);
        k = epoch[s];
#ifndef SAME_EPOCH
        epoch[s]++;
#endif
        assert(epoch[s] > k);                              /* 1: epochs rise */
        k = 0;
        ran_out[s] = false; claimed[p] = epoch[s]; vouched[p] = true }

    :: d_step { claimed[p] ->
        known[p] = claimed[p]; claimed[p] = 0;
#ifdef CLOCKS
        late[p] = !vouched[p];
#ifdef STAMPED_LATE
        late[p] = false;
#endif
#endif
        vouched[p] = false }

    :: d_step { claimed[p] && faults -> faults--; claimed[p] = 0; vouched[p] = false }

#ifdef EARLY
    :: d_step { !dead[d] && !known[p] && !claimed[p] && !loaded[p] && ran_out[s] ->
#else
    :: d_step { known[p] && !loaded[p] ->
#endif
        loaded[p] = true; version_seen[p] = version[s]; cursor_seen[p] = cursor[s] }

    /* It renews, also what has run out. */
#ifdef CLOCKS
    :: d_step { known[p] && late[p] && renewal[p] == IDLE ->
        renewal[p] = SENT; vouched[p] = true }

    :: d_step { renewal[p] == SENT && !SHARED(s) ->
        if
        :: OWNS(d, s, known[p]) -> ran_out[s] = false; renewal[p] = RENEWED
        :: else -> renewal[p] = REFUSED
        fi }

    :: d_step { renewal[p] == RENEWED ->
        if
        :: vouched[p] -> late[p] = false
        :: else
        fi;
#ifdef STAMPED_LATE
        late[p] = false;
#endif
        renewal[p] = IDLE; vouched[p] = false }

    :: d_step { renewal[p] == REFUSED -> begin_anew(d) }
#else
    :: d_step { known[p] && OWNS(d, s, known[p]) && ran_out[s] && !SHARED(s) ->
        ran_out[s] = false }

    :: d_step { known[p] && !OWNS(d, s, known[p]) -> begin_anew(d) }
#endif
#ifdef RENEWED_BY_NAME
    :: d_step { !dead[d] && owner[s] == NAME(d) && ran_out[s] && !SHARED(s) ->
        ran_out[s] = false }
#endif

    /* It records a new state with its event. */
    :: d_step { known[p] && loaded[p] && change[p].at == FREE && ALONE(d) &&
            version_seen[p] < EVENTS && !INSIDE(change[PAIR(OTHER(d), s)]) ->
        if
        :: CURRENT(p, s) ->
            change[p].at = OPEN; change[p].epoch = known[p];
            change[p].value = version_seen[p] + 1
        :: else -> version_seen[p] = version[s]
        fi }

    :: d_step { change[p].at == OPEN && !change[p].orphaned && COUNTABLE ->
        if
        :: RECORDED(s, change[p].value) ->
            forget(change[p]); version_seen[p] = version[s]
        :: else ->
            counting = true; change[p].at = PLACED; change[p].place = counter + 1;
#ifdef UNCOUNTED
            counter++
#endif
        fi }

    :: d_step { change[p].at == PLACED && !change[p].orphaned ->
        if
        :: MAY_WRITE(d, s, change[p].epoch) -> change[p].at = FENCED
        :: else -> begin_anew(d)
        fi }

    :: d_step { change[p].at == COMMITTED ->
        version_seen[p] = change[p].value; forget(change[p]) }

    :: d_step { change[p].at == ABORTED -> forget(change[p]) }

#ifdef GUESSING
    :: d_step { change[p].at == COMMITTED && faults -> faults--; forget(change[p]) }

    :: d_step { change[p].at == FENCED && !change[p].orphaned && faults ->
        faults--; change[p].orphaned = true }
#endif

    /* It reads what waits; when all of that is delivered, it moves the cursor. */
    :: d_step { known[p] && loaded[p] && !batch[p] && WAITS(p, s) ->
        assert(!strayed[p]);                    /* 5: one batch, without ownership */
        k = 1;
        do
        :: k <= EVENTS ->
            if
            :: LATER(p, s, k) -> batch[p] = batch[p] | BIT(k)
            :: else
            fi;
            k++
        :: else -> break
        od;
        k = 0 }

    :: d_step { batch[p] && ALL_TAKEN(p) && move[p].at == FREE &&
            !INSIDE(move[PAIR(OTHER(d), s)]) ->
        move[p].at = OPEN; move[p].epoch = known[p];
        k = 1;
        do
        :: k <= EVENTS ->
            if
            :: (batch[p] & BIT(k)) && place[EVENT(s, k)] > move[p].value ->
                move[p].value = place[EVENT(s, k)]
            :: else
            fi;
            k++
        :: else -> break
        od;
        k = 0 }

    :: d_step { move[p].at == OPEN && !move[p].orphaned ->
        if
        :: MAY_MOVE(d, s, move[p].epoch) -> move[p].at = FENCED
        :: else -> begin_anew(d)
        fi }

    :: d_step { move[p].at == COMMITTED ->
        cursor_seen[p] = move[p].value; forget(move[p]);
        batch[p] = 0; begun[p] = 0; taken[p] = 0 }

    :: d_step { move[p].at == ABORTED -> forget(move[p]) }

    /* It gives the shard back, which reaches the database soon, late or never. */
    :: d_step { known[p] && faults && QUIET(p) && renewal[p] == IDLE && !releasing[p] ->
        faults--;
        releasing[p] = known[p];
#ifndef HASTY
        drop(p)
#endif
        }

    :: d_step { releasing[p] && !SHARED(s) ->
        if
        :: FREES(d, s, releasing[p]) -> owner[s] = NOBODY; ran_out[s] = true
        :: else
        fi;
        releasing[p] = 0 }

    :: d_step { releasing[p] -> releasing[p] = 0 }
    od
}

/* How daemon d delivers event n of shard s. */
proctype delivery(byte d; byte s; byte p; byte n)
{
end:
    do
    :: d_step { (batch[p] & BIT(n)) && !(IN_FLIGHT(p) & BIT(n)) && NEXT(p, n) &&
            IN_TIME(p) ->
#ifdef CLOCKS
        assert(OWNS(d, s, known[p]));    /* 5: in flight is what was begun by the owner */
#else
        if
        :: !OWNS(d, s, known[p]) -> repeatable[s] = repeatable[s] | BIT(n)
        :: else
        fi;
#endif
        begun[p] = begun[p] | BIT(n) }

    :: d_step { begun[p] & BIT(n) ->
        receive(s, n);
        strayed[p] = strayed[p] || !OWNS(d, s, known[p]);
        begun[p] = begun[p] & ~BIT(n);
        taken[p] = taken[p] | BIT(n) }

    /* No answer: it will be tried again, and may arrive as well. */
    :: d_step { (begun[p] & BIT(n)) && faults ->
        faults--;
        repeatable[s] = repeatable[s] | BIT(n);
        begun[p] = begun[p] & ~BIT(n);
        under_way[p] = under_way[p] | BIT(n) }

    :: d_step { under_way[p] & BIT(n) ->
        receive(s, n); under_way[p] = under_way[p] & ~BIT(n) }

    :: d_step { under_way[p] & BIT(n) -> under_way[p] = under_way[p] & ~BIT(n) }
    od
}

/* The lease is still that of the run which began the transaction. */
#define REIGNS(t, d, s) (epoch[s] == t.epoch && \
    (owner[s] == NAME(d) || (t.orphaned && owner[s] == ENDED)))

/* The server's side of the two connections of a daemon for a shard. */
proctype backend(byte d; byte s; byte p)
{
    byte k;

end:
    do
    :: d_step { change[p].at == FENCED ->
        assert(REIGNS(change[p], d, s));                   /* 1, 2 */
        assert(change[p].value == version[s] + 1);         /* 3: no version written over */
        assert(place[EVENT(s, change[p].value)] == 0);     /* 3: each event once */
        k = 0;
        do
        :: k < SHARDS * EVENTS -> assert(place[k] < change[p].place); k++     /* 3 */
        :: else -> break
        od;
        k = 0;
        version[s] = change[p].value;
        place[EVENT(s, change[p].value)] = change[p].place;
#ifndef UNCOUNTED
        counter = change[p].place;
#endif
        counting = false;
        change[p].at = COMMITTED;
        if
        :: change[p].orphaned -> forget(change[p])
        :: else
        fi }

    :: d_step { move[p].at == FENCED ->
        assert(REIGNS(move[p], d, s));                     /* 1, 2 */
        assert(move[p].value > cursor[s]);                 /* 4: never back */
        k = 1;
        do
        :: k <= EVENTS ->
            assert(place[EVENT(s, k)] == 0 || place[EVENT(s, k)] > move[p].value ||
                (got[s] & BIT(k)));                     /* 4: never past what waits */
            k++
        :: else -> break
        od;
        k = 0;
        cursor[s] = move[p].value;
        move[p].at = COMMITTED;
        if
        :: move[p].orphaned -> forget(move[p])
        :: else
        fi }

    /* A connection is lost, or was silent for too long. */
    :: d_step { INSIDE(change[p]) && (faults || change[p].orphaned) ->
        if
        :: change[p].orphaned -> roll_back(change[p]); forget(change[p])
        :: else -> faults--; roll_back(change[p])
        fi }

    :: d_step { INSIDE(move[p]) && (faults || move[p].orphaned) ->
        if
        :: move[p].orphaned -> roll_back(move[p]); forget(move[p])
        :: else -> faults--; roll_back(move[p])
        fi }
    od
}

inline cut_off(t)
{
    if
    :: INSIDE(t) -> roll_back(t)
    :: else
    fi;
    if
    :: t.orphaned -> forget(t)
    :: else
    fi
}

#define DOUBTED(t) (!t.orphaned && (t.at == FENCED || t.at == COMMITTED))

/* The database restarts: what became of a COMMIT cannot be looked up any more. */
inline restart(d)
{
    doubt = false; k = 0;
    do
    :: k < SHARDS ->
        doubt = doubt || DOUBTED(change[PAIR(d, k)]) || DOUBTED(move[PAIR(d, k)]);
        cut_off(change[PAIR(d, k)]);
        cut_off(move[PAIR(d, k)]);
        k++
    :: else -> break
    od;
    k = 0;
    if
    :: doubt -> begin_anew(d)
    :: else
    fi;
    doubt = false
}

/* With clocks as they should be: the local deadline is before that of the database. */
inline notice(p, d, s)
{
    if
    :: owner[s] == NAME(d) ->
        if
        :: known[p] -> late[p] = true
        :: else
        fi;
        if
        :: renewal[p] != SENT -> vouched[p] = false
        :: else
        fi
    :: else
    fi
}

inline expire(s)
{
    if
    :: KEPT(s) -> faults--
    :: else
    fi;
    ran_out[s] = true;
#ifdef CLOCKS
    notice(PAIR(0, s), 0, s);
    notice(PAIR(1, s), 1, s)
#endif
}

#define EXPIRES(s) (!ran_out[s] && owner[s] != NOBODY && (faults || !KEPT(s)))

proctype fate()
{
    byte k;
    bool doubt;

end:
    do
    :: d_step { faults && !dead[0] -> faults--; begin_anew(0) }
    :: d_step { faults && !dead[1] -> faults--; begin_anew(1) }
    /* One dies for good; one lives. */
    :: d_step { faults && !dead[0] && !dead[1] -> faults--; begin_anew(0); dead[0] = true }
    :: d_step { faults && !dead[0] && !dead[1] -> faults--; begin_anew(1); dead[1] = true }
    :: d_step { EXPIRES(0) -> expire(0) }
#if SHARDS > 1
    :: d_step { EXPIRES(1) -> expire(1) }
#endif
    :: d_step { faults -> faults--; restart(0); restart(1) }
    od
}

init
{
    byte k;

    d_step {
        do
        :: k < SHARDS -> ran_out[k] = true; k++
        :: else -> break
        od;
        k = 0
    }
    atomic {
        do
        :: k < PAIRS ->
            run daemon(k / SHARDS, k % SHARDS, k);
            run backend(k / SHARDS, k % SHARDS, k);
            run delivery(k / SHARDS, k % SHARDS, k, 1);
#if EVENTS > 1
            run delivery(k / SHARDS, k % SHARDS, k, 2);
#endif
#if EVENTS > 2
            run delivery(k / SHARDS, k % SHARDS, k, 3);
#endif
            k++
        :: else -> break
        od;
        k = 0;
        run fate()
    }
}

#define DELIVERED(s) (got[s] == EVERY && cursor[s] == place[EVENT(s, EVENTS)])

/* 4: whatever happens, each state is recorded, its event delivered, the cursor there. */
#if SHARDS == 1
ltl delivered { <> DELIVERED(0) }
#else
ltl delivered { <> (DELIVERED(0) && DELIVERED(1)) }
#endif
