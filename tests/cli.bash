# What the cli_*.sh tests share: a private folder, the program as $banquet, and checks that say what
# they wanted. Source it with: . "$(dirname "$0")/cli.bash"
set -u
banquet=$(readlink -f "${1:?usage: $0 BUILD/banquet}")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
n_checks=0 n_failed=0

fail() {
    n_failed=$((n_failed + 1))
    printf 'FAILED %s\n' "$*"
}

check() { # check SENTENCE COMMAND..: the command succeeds
    local sentence=$1
    shift
    n_checks=$((n_checks + 1))
    "$@" >out 2>err || { fail "$sentence"; printf '  status %s of: %s\n' $? "$*"; tail -n 20 out err; }
}

same() { # same SENTENCE GOT WANT
    n_checks=$((n_checks + 1))
    [ "$2" = "$3" ] || { fail "$1"; printf '  got  %s\n  want %s\n' "$2" "$3"; }
}

refused() { # refused STATUS TEXT COMMAND..: exits with the status, and TEXT is on stderr
    local status=$1 text=$2 got
    shift 2
    n_checks=$((n_checks + 1))
    "$@" >out 2>err
    got=$?
    [ $got = "$status" ] || fail "status $got, not $status, of: $*"
    grep -qF -- "$text" err || { fail "no such message from: $*"; printf '  want %s\n  got  ' "$text"; cat err; }
}

number() { # number FILE KEY: the first value of a key in a report's JSON, bare
    local found
    found=$(grep -o "\"$2\": *[^,}]*" "$1" | head -n 1 | sed 's/^[^:]*: *//; s/"//g')
    echo "${found:-no $2 in $1}"
}

digest() { # digest COMMAND..: the digest that a run prints
    "$@" 2>err | sed -n 's/^digest //p'
}

slow_storage() { # then: slow COMMAND.. runs it with slow storage (slow_storage.c)
    check "the slow storage compiles" cc -D_GNU_SOURCE -shared -fPIC -o slow.so "$root/tests/slow_storage.c" -ldl
}
slow() { LD_PRELOAD=$folder/slow.so "$@"; }

until_there() { # until_there PATTERN: waits for such a file, ten seconds at most
    local i
    for i in $(seq 1000); do
        compgen -G "$1" >/dev/null && return
        sleep 0.01
    done
}

damage() { # damage FILE DATASET N: the N-th stored chunk cannot be decoded any more
    /usr/bin/python3 - "$@" <<'END'
import h5py, sys
file, dataset, n = sys.argv[1:]
with h5py.File(file) as f:
    place = f[dataset].id.get_chunk_info(int(n)).byte_offset
with open(file, "r+b") as f:
    f.seek(place + 20)
    f.write(b"\xff" * 40)
END
}

finish() {
    echo "$n_checks checks, $n_failed failed"
    [ $n_checks -gt 0 ] && [ $n_failed = 0 ]
    exit
}
