#!/usr/bin/env bash
# Some runs of chaos.py: see there. Many more by hand: tests/chaos.py BANQUET RUNS [SEED]
. "$(dirname "$0")/cli.bash"
check "chaos does no harm" /usr/bin/python3 "$root/tests/chaos.py" "$banquet" "${CHAOS:-5}" "${SEED:-$RANDOM}"
cat out
finish
