#!/bin/sh
# Installs Job Monitor as a service of systemd, or upgrades it; run it from a checkout,
# which may be removed afterwards.
#
#   sh deploy/install.sh [--prefix /opt/job-monitor] [--no-start] [--root DIR]
#
# --no-start  does not restart a daemon that runs
# --root      puts everything below DIR, to try it; needs no root, starts nothing
#
# Needs Python 3.11 or newer with venv; PYTHON=/path/to/python3 names one.
set -eu
umask 022

prefix=/opt/job-monitor
root=
start=yes

say() { printf '%s\n' "$*"; }

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --prefix | --root)
        [ $# -ge 2 ] || fail "$1 needs a directory"
        if [ "$1" = --prefix ]; then prefix=${2%/}; else root=${2%/}; fi
        shift
        ;;
    --no-start) start=no ;;
    -h | --help)
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "$1 is unknown; --help tells what there is" ;;
    esac
    shift
done

case $prefix in
*[!A-Za-z0-9/._-]*) fail "--prefix may have letters, digits and / . _ - alone" ;;
/?*) ;;
*) fail "--prefix must be an absolute path, /opt/job-monitor for example" ;;
esac
case $root in
'' | /?*) ;;
*) fail "--root must be an absolute path" ;;
esac
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "must be run as root; try: sudo sh $0"

checkout=$(cd "$(dirname "$0")/.." && pwd)
[ -f "$checkout/requirements.lock" ] || fail "run it from a checkout of Job Monitor"

home=$root$prefix
etc=$root/etc/job-monitor
units=$root/usr/local/lib/systemd/system
overrides=$root/etc/systemd/system/job-monitor.service.d
bin=$root/usr/local/bin

# Says why $1 will not do, or nothing.
amiss() {
    "$1" -I - "$root" <<'PY' 2>/dev/null || echo 'it does not run'
import sys
if sys.version_info < (3, 11):
    print("it is older than 3.11")
elif sys.base_prefix.startswith(("/root/", "/home/")) and not sys.argv[1]:
    print("the service cannot see into /root and /home")
else:
    try:
        import ensurepip, venv
    except ImportError:
        print("it has no venv; on Debian and Ubuntu: apt-get install python3-venv")
PY
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        why=$(amiss "$PYTHON")
        [ -z "$why" ] || fail "$PYTHON will not do: $why"
        python=$PYTHON
        return
    fi
    reasons=
    for python in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        command -v "$python" >/dev/null || continue
        why=$(amiss "$python")
        [ -n "$why" ] || return 0
        reasons="$reasons
  $python: $why"
    done
    fail "Python 3.11 or newer with venv is needed; on Debian and Ubuntu:
  apt-get install python3 python3-venv$reasons"
}

make_venv() {
    if [ -e "$home/pyvenv.cfg" ]; then
        # After an upgrade of the system, its Python may be another.
        "$home/bin/python" -I -c 'import pip' 2>/dev/null ||
            "$python" -m venv --clear "$home"
    elif [ -d "$home" ] && [ -n "$(ls -A "$home")" ]; then
        fail "$home holds something else; give --prefix a directory of its own"
    else
        "$python" -m venv "$home"
    fi
}

install_program() {
    make_venv
    pip="$home/bin/python -I -m pip install -q --disable-pip-version-check"
    # shellcheck disable=SC2086 # words on purpose
    (cd "$checkout" && $pip --require-hashes -r requirements.lock)
    # Not editable, and anew though the version be the same.
    # shellcheck disable=SC2086
    (cd "$checkout" && $pip --no-deps --no-build-isolation --force-reinstall .)
    mkdir -p "$bin" "$home/share/job-monitor"
    cp "$checkout/deploy/monitor.example.yaml" "$home/share/job-monitor/"
    if [ ! -e "$bin/job-monitor" ] || [ -L "$bin/job-monitor" ]; then
        ln -sfn "$prefix/bin/job-monitor" "$bin/job-monitor"
    fi
}

# Installs $1 as $2 with the prefix in place; a reader sees the old or the new one.
install_unit() {
    mkdir -p "$(dirname "$2")"
    sed "s#/opt/job-monitor/#$prefix/#g" "$1" >"$2.new"
    mv "$2.new" "$2"
}

systemd_version() {
    found=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    echo "${found:-0}"
}

install_units() {
    knows=$(systemd_version)
    for unit in job-monitor.service job-monitor@.service; do
        install_unit "$checkout/systemd/$unit" "$units/$unit"
        drop_in=$units/$unit.d/notify-reload.conf
        if [ "$knows" -ge 254 ]; then
            install_unit "$checkout/systemd/job-monitor.service.d/notify-reload.conf" "$drop_in"
        else
            rm -f "$drop_in"
        fi
    done
}

# A first configuration; whatever is there stays as it is.
configure() {
    if [ -e "$etc/monitor.yaml" ]; then
        say "Kept $etc as it was."
        return
    fi
    mkdir -p "$etc/secrets" "$overrides"
    chmod 700 "$etc/secrets"
    [ -e "$etc/watchlist.txt" ] || cp "$checkout/deploy/first/watchlist.txt" "$etc/"
    [ -e "$etc/secrets/app_secret" ] || (umask 077 && : >"$etc/secrets/app_secret")
    [ -e "$overrides/credentials.conf" ] || cat >"$overrides/credentials.conf" <<'CONF'
# Which secrets the daemon is handed, at /run/credentials/job-monitor.service/…
[Service]
LoadCredential=app_secret:/etc/job-monitor/secrets/app_secret
CONF
    # The last: who is interrupted before begins anew.
    cp "$checkout/deploy/first/monitor.yaml" "$etc/monitor.yaml"
}

take_effect() {
    if [ -n "$root" ] || [ ! -d /run/systemd/system ]; then
        say "systemd does not run here: the units are installed, nothing was started."
        return
    fi
    systemctl daemon-reload
    if [ "$start" = yes ]; then
        systemctl try-restart job-monitor.service 'job-monitor@*.service'
    fi
}

find_python
say "Installing Job Monitor into $home with $("$python" --version) …"
install_program
install_units
configure
take_effect

say "Installed: $("$home/bin/job-monitor" version)

What is left to do, unless you have done so:
  1. Put the secret of the application into $etc/secrets/app_secret
  2. Fill in $etc/monitor.yaml and $etc/watchlist.txt
  3. Check it, with the secret where it lies before the service runs:
       MONITOR_SOURCES__PROD__APP_SECRET_FILE=$etc/secrets/app_secret \\
         $home/bin/job-monitor check --config $etc/monitor.yaml
  4. systemctl enable --now job-monitor
     systemctl status job-monitor; journalctl -u job-monitor -o cat"
