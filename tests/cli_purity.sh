# The pure rooms want nothing but memory, strings and numbers from the system: no clock, file, thread,
# network or dice. Reads what the built libraries want; the program's path tells where they are.
# Then it shows that it can fail, on libraries that do want such things.
set -u
program=$1
folder=$(dirname "$program")/src
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Memory, strings, and numbers to and from text (with what hardening and C23 make of them). The heap's
# three are bq_alloc's; __errno_location is for strtod.
allowed='aligned_alloc|free|malloc|calloc|realloc|mallopt'
allowed+='|mem(cpy|move|set|cmp|chr)|str(len|nlen|cmp|ncmp|chr|rchr|str|spn|cspn|pbrk|ncat|cat|cpy|ncpy)'
allowed+='|__mem(cpy|move|set)_chk|__str(ncat|cat|cpy|ncpy)_chk|stpcpy|bcmp'
allowed+='|v?snprintf|__v?snprintf_chk|(__isoc23_)?strto(d|l|ul|ll|ull)'
allowed+='|__errno_location|__ctype_(b|tolower|toupper)_loc|isnan|isinf'
# The compiler's own: arithmetic, which processor it is, stack guard, sanitizers, coverage.
allowed+='|__(popcountdi2|popcountsi2|clzdi2|ctzdi2|u?divti3|u?modti3|multi3)|_GLOBAL_OFFSET_TABLE_|__cpu_(model|indicator_init)'
allowed+='|__stack_chk_(fail|guard)|__[aut]san_.*|__ubsan_.*|__sanitizer_.*|__gcov_.*|__llvm_.*'

wanted() # LIBRARY...: what they want and do not have themselves
{
    nm -u "$@" | awk '$1 == "U" || $1 == "w" {print $2}' | sort -u >"$work/wanted"
    nm --defined-only "$@" | awk 'NF == 3 && $2 ~ /[A-Z]/ {print $3}' | sort -u >"$work/own"
    comm -23 "$work/wanted" "$work/own"
}

impure() # LIBRARY...: what they want and must not
{
    wanted "$@" | grep -vxE "$allowed"
}

foreign() # LIBRARY...: what they want and neither libc nor libm nor libcurl has
{
    ldd "$program" | awk '$1 ~ /^lib(c|m|curl)\.so/ || $1 ~ /ld-(linux|musl)/ {print $3 ? $3 : $1}' |
        xargs nm -D --defined-only 2>/dev/null | awk '{sub("@.*", "", $3); print $3}' |
        sort -u >"$work/libc"
    wanted "$@" | grep -vxE "$allowed" | comm -23 - "$work/libc"
}

failures=0
nothing() # TEXT COMMAND...: the command must find nothing
{
    local found
    found=$("${@:2}")
    if [ -n "$found" ]; then
        echo "FAILED: $1:" $found
        failures=$((failures + 1))
    fi
}

something() # TEXT WANT COMMAND...: the command must find exactly this
{
    local found
    found=$("${@:3}")
    if [ "$found" != "$2" ]; then
        echo "FAILED: $1: found '$found', not '$2'"
        failures=$((failures + 1))
    fi
}

base=$folder/libbq_base.a core=$folder/libbq_core.a kernels=$folder/libbq_kernels.a check=$folder/libbq_check.a
for library in "$base" "$core" "$kernels"; do
    if ! nm --defined-only "$library" 2>/dev/null | grep -q ' [A-Z] bq_'; then
        echo "FAILED: $library is not there, or has nothing in it"
        exit 1
    fi
done

nothing "base wants what is not pure" impure "$base"
nothing "core wants what is not pure, or is not in base" impure "$core" "$base"
nothing "a kernel wants more than the C library and libcurl" foreign "$kernels"
nothing "what checks kernels wants more than the C library" foreign "$check"

# It can fail.
compiler=$(command -v cc || command -v gcc || command -v clang)
if [ -n "$compiler" ]; then
    library() # NAME SOURCE: $work/NAME.a
    {
        echo "$2" | "$compiler" -x c -c -o "$work/$1.o" - && ar rc "$work/$1.a" "$work/$1.o"
    }
    library clock '#include <time.h>
                   long t(struct timespec *at) { return clock_gettime(CLOCK_MONOTONIC, at); }'
    library file '#include <stdio.h>
                  void *f(void) { return fopen("x", "r"); }'
    library dice '#include <stdlib.h>
                  int d(void) { return rand(); }'
    library upward 'int bq_pool_stop(void); int u(void) { return bq_pool_stop(); }'
    library mpi 'int MPI_Barrier(void); int m(void) { return MPI_Barrier(); }'
    something "a clock is found" clock_gettime impure "$base" "$work/clock.a"
    something "a file is found" fopen impure "$core" "$base" "$work/file.a"
    something "dice are found" rand impure "$base" "$work/dice.a"
    something "an arrow upwards is found" bq_pool_stop impure "$core" "$base" "$work/upward.a"
    something "an engine's function in a kernel is found" bq_pool_stop foreign "$kernels" "$work/upward.a"
    something "another library in a kernel is found" MPI_Barrier foreign "$kernels" "$work/mpi.a"
    nothing "a kernel may read the C library's clock" foreign "$kernels" "$work/clock.a"
else
    echo "no compiler: what it would find was not tried"
fi

[ "$failures" -eq 0 ] && echo "pure: base, core; kernels: the C library and libcurl alone"
exit $((failures > 0))
