#!/bin/sh
# Search all that can happen in leases.pml: docs/model/check.sh safety|progress [-DNAME[=N] …]
#
# safety looks at what is asserted, progress at whether all is delivered in the end.
# Prints a line. 0: it holds; 1: it does not, and the way there is printed as well, as
# far as spin can; 2: the search was not complete.
set -eu

what=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cp "$here/leases.pml" .

spin -a "$@" leases.pml >spin.out 2>&1 || { cat spin.out; exit 2; }
case $what in
safety) compile='-DSAFETY -DNOCLAIM' search='' ;;
progress) compile='' search='-a' ;;
*) echo 'safety or progress?' >&2; exit 2 ;;
esac
# shellcheck disable=SC2086
cc ${CFLAGS--O2} -w -DCOLLAPSE -DMEMLIM=12000 $compile -o pan pan.c
# shellcheck disable=SC2086
./pan -m${DEPTH-100000} $search >found || true

states=$(sed -n 's/^ *\([0-9e+.]*\) states, stored.*/\1/p' found)
seconds=$(sed -n 's/^pan: elapsed time \([0-9.]*\) seconds.*/\1/p' found)
if ! grep -q 'errors: [0-9]' found || grep -q 'not completed\|depth too small' found && ! grep -q 'errors: 1' found; then
    cat found
    exit 2
fi
if grep -q 'errors: 0' found; then
    echo "$what $*: holds in all $states states, $seconds s"
    exit
fi
echo "$what $*: does not hold: $(sed -n 's/^pan:1: //p' found)"
spin -t -p "$@" leases.pml | grep -v '^ltl' || true
exit 1
