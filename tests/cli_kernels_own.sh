#!/usr/bin/env bash
# Kernels of one's own: compiled once, loaded, checked, the same in every kitchen; and what is said of wrong ones.
. "$(dirname "$0")/cli.bash"
export XDG_CACHE_HOME=$folder/cache
cache=$XDG_CACHE_HOME/banquet/kernels
unset CC BANQUET_CFLAGS
PATH=$(dirname "$banquet"):$PATH # what a person has who installed it
seed=${SEED:-$RANDOM}
echo "seed $seed"

check "a photo is made" $banquet make photo photo.h5 --size 300x200 --chunk 64x64 --quiet

# -- the skeleton
check "a kernel to begin with" $banquet kernel new mine --dir new
check "its check, its job and its known answers" sh new/test_mine.sh
refused 2 "new/mine.c: it is there already" $banquet kernel new mine --dir new
rm new/mine.c
refused 2 "new/CMakeLists.txt: it is there already" $banquet kernel new mine --dir new
same "nothing half-written" "$(ls new | tr '\n' ' ')" "CMakeLists.txt mine.yaml test_mine.sh "
refused 2 "letters, digits and _" $banquet kernel new ../x
refused 2 "did you mean 'check'?" $banquet kernel chek mine.c
check "another" $banquet kernel new other
check "its CMake" cmake -S . -B build-own -DBANQUET="$banquet"
check "builds" cmake --build build-own
check "a library in a job" $banquet run other.yaml --set params.threshold=7 --json library.json --quiet
check "the source in a job" bash -c "sed 's|\./other.c|build-own/libother.so:other|' other.yaml >l.yaml && $banquet run l.yaml --set params.threshold=7 --force --json source.json --quiet"
same "count the same" "$(number library.json above)" "$(number source.json above)"
check "parameters are listed" bash -c "$banquet kernels ./other.c | grep -q 'threshold .*the least value that counts'"

# -- the same bits as the same formula of the program's, in one process, in kitchens, under mpirun
cp "$root"/src/kernels/brighten.c ./bright.c
printf 'kernel: ./bright.c\nparams: {gain: 1.7}\ninput: photo.h5:/photo\noutput: bright.h5:/photo\n' >own.yaml
sed 's|\./bright.c|brighten|' own.yaml >built-in.yaml
want=$(digest $banquet run built-in.yaml)
[ ${#want} = 32 ] || fail "a digest: $want"
same "one process" "$(digest $banquet run own.yaml --force)" "$want"
same "-n 3" "$(digest $banquet run own.yaml --force -n 3)" "$want"
same "mpirun" "$(digest mpirun --oversubscribe -n 4 "$banquet" run own.yaml --force --quiet)" "$want"
printf 'steps:\n  - {name: a, kernel: ./bright.c, input: "photo.h5:/photo", output: "b2.h5:/photo"}\n  - {name: b, kernel: "new2/mine.c", input: "b2.h5:/photo"}\n' >two.yaml
check "a third" $banquet kernel new mine --dir new2
check "steps with kernels of two files" $banquet run two.yaml --quiet -n 3 --force
cp "$root"/src/kernels/noise.[ch] "$root"/src/kernels/field.c .
printf '#include "field.c"\n#include "noise.c"\n' >maker.c
check "a maker of one's own" $banquet make ./maker.c:field f1.h5 --size 2x30x40 --quiet
check "and the program's" $banquet make field f2.h5 --size 2x30x40 --quiet
check "make the same" h5diff f1.h5 f2.h5 /field /field
refused 2 "writes nothing" bash -c "sed 's/BQ_READS | BQ_WRITES/BQ_READS/' other.c >reader.c; $banquet make ./reader.c x.h5"

# -- the cache: no compiler is needed until something changes
nocc() { PATH=$folder/empty "$@"; }
mkdir empty
cat >head.h <<'END2'
#define FACTOR 2
END2
cat >twice.c <<'END2'
#include <banquet/kernel.h>
#include "head.h"
static int prepare(struct bq_setup *setup)
{
    setup->message[0] = '8';
    return setup->in_type == BQ_U8 ? 0 : -1;
}
static enum bq_answer cook(struct bq_call *call)
{
    const uint8_t *in = call->in->data;
    uint8_t *out = call->out->data;
    for (uint64_t i = 0; i < call->in->n; i++)
        out[i] = (uint8_t)(in[i] * FACTOR);
    return BQ_DONE;
}
BQ_KERNEL(twice) = {.abi = BQ_KERNEL_ABI, .flags = BQ_READS | BQ_WRITES, .name = "twice",
                    .summary = "twice", .prepare = prepare, .cook = cook};
END2
check "it compiles" $banquet kernels ./twice.c
same "into a private folder" "$(stat -c %a "$cache")" 700
check "no compiler the second time" nocc $banquet kernels ./twice.c
n=$(ls "$cache"/twice-*.so | wc -l)
same "once" "$n" 1
echo '#define FACTOR 3' >head.h
refused 2 "'cc' cannot be started" nocc $banquet kernels ./twice.c
check "a header that changed" $banquet kernels ./twice.c
same "is noticed" "$(ls "$cache"/twice-*.so | wc -l)" 2
echo '// more' >>twice.c
refused 2 "has to be compiled" nocc $banquet kernels ./twice.c
check "and so is the source" $banquet kernels ./twice.c
BANQUET_CFLAGS=-DANYTHING refused 2 "'cc' cannot be started" nocc $banquet kernels ./twice.c
CC=nosuchcompiler refused 2 "'nosuchcompiler' cannot be started" $banquet kernels ./twice.c
CC="env NOTHING=1 cc" check "a compiler of several words" $banquet kernels ./twice.c
library=$(ls -t "$cache"/twice-*.so | head -n 1)
for library in "$cache"/twice-*.so; do echo damage >>"$library"; done
check "damage in the cache is noticed" $banquet kernels ./twice.c
same "nothing is left of the making" "$(find "$cache" -name 'making*' | wc -l)" 0
chmod 777 "$cache"
refused 2 "is not safe: others may write to it" $banquet kernels ./twice.c
chmod 700 "$cache"
mkdir "$folder/else" && ln -s "$folder/else" cache/link
XDG_CACHE_HOME=$folder/head.h refused 2 "cannot be made: Not a directory" $banquet kernels ./twice.c
mkdir -p hostile/banquet && ln -s "$folder/else" hostile/banquet/kernels
XDG_CACHE_HOME=$folder/hostile refused 2 "it is no folder" $banquet kernels ./twice.c
if [ "$(id -u)" = 0 ]; then
    mkdir -p foreign/banquet/kernels && chown -R 12345 foreign/banquet
    XDG_CACHE_HOME=$folder/foreign refused 2 "it belongs to another user" $banquet kernels ./twice.c
    cp "$library" foreign.so && chown 12345 foreign.so
    refused 2 "belongs to another user" $banquet kernels ./foreign.so
fi
HOME=$folder/home && mkdir home
(export HOME && unset XDG_CACHE_HOME && $banquet kernels ./twice.c >/dev/null && ls home/.cache/banquet/kernels/*.made >/dev/null) ||
    fail "without XDG_CACHE_HOME it is ~/.cache"

# -- files that are not what they should be
printf 'kernel: ./broken.c\ninput: photo.h5:/photo\n' >broken.yaml
printf '#include <banquet/kernel.h>\nint x = ;\n' >broken.c
refused 2 "broken.yaml:1: $folder/broken.c does not compile" $banquet run broken.yaml
grep -q 'broken.c:2:.*error' err || fail "the compiler's own words"
same "nothing half-written" "$(find "$cache" -name 'broken*' -o -name 'making*' | wc -l)" 0
refused 2 "broken.c does not compile" $banquet run broken.yaml -n 3
refused 2 "./nothing.c: No such file" $banquet kernels ./nothing.c
refused 2 "neither FILE.c nor FILE.so" $banquet kernels ./mine
echo nonsense >nonsense.so
refused 2 "cannot be loaded" $banquet kernels ./nonsense.so
include=$($banquet kernel include)
so() { cc -O1 -shared -fPIC -I "$include" -o "$1.so" "$1.c"; }
echo 'int nothing;' >empty.c
check "a library" so empty
refused 2 "it has no kernel: banquet/kernel.h says how" $banquet kernels ./empty.so
check "another library" so twice
refused 2 "it has no kernel 'twise'; did you mean 'twice'?" $banquet kernels ./twice.so:twise
chmod o+w twice.so
refused 2 "everybody may write to" $banquet kernels ./twice.so
chmod o-w twice.so
printf '#include "twice.c"\nBQ_KERNEL(thrice) = {.abi = BQ_KERNEL_ABI, .name = "thrice", .summary = "", .cook = cook};\n' >several.c
sed 's|\./broken.c|./several.c|' broken.yaml >several.yaml
refused 2 "it has 2 kernels: say which" $banquet run several.yaml
check "both are listed" bash -c "$banquet kernels ./several.c | grep -c '^t' | grep -qx 2"

wrong() { # wrong TEXT EDIT: twice.c, edited with sed, is refused
    sed "$2" twice.c >wrong.c
    refused 2 "$1" $banquet kernels ./wrong.c
}
wrong "was built for version 1 of the kernel interface, and this is" 's/\.abi = BQ_KERNEL_ABI/.abi = 1/'
wrong "it lacks .abi = BQ_KERNEL_ABI" 's/\.abi = BQ_KERNEL_ABI,//'
wrong '.name must be "twice"' 's/\.name = "twice"/.name = "other"/'
wrong '.name must be "twice"' 's/\.name = "twice"/.name = (const char *)8/'
wrong ".summary must be a text" 's/\.summary = "twice"/.summary = (const char *)0xdead0000beef/'
wrong ".summary must be a text" 's/\.summary = "twice"/.summary = "\\033[2J"/'
wrong ".flags has bits that mean nothing" 's/BQ_READS |/0x8000 |/'
wrong "no function .cook" 's/\.cook = cook/.cook = 0/'
wrong ".combine is no function" 's/\.cook = cook/.cook = cook, .combine = (void *)1/'
wrong "parameters; 16 at most" 's/\.cook = cook/.cook = cook, .n_params = 99/'
wrong "not where .params says" 's/\.cook = cook/.cook = cook, .n_params = 2/'
p='static const struct bq_param p[] ='
wrong "outside its range" "s/^BQ_KERNEL/$p {{\"a\", BQ_REAL, {.r = 5}, 0, 1, \"\", \"\"}};\n&/; s/\.cook = cook/.cook = cook, .params = p, .n_params = 1/"
wrong "parameter 1 has no proper name" "s/^BQ_KERNEL/$p {{\"a=b\", BQ_REAL, {.r = 5}, 1, 0, \"\", \"\"}};\n&/; s/\.cook = cook/.cook = cook, .params = p, .n_params = 1/"
wrong "'a' is there twice" "s/^BQ_KERNEL/$p {{\"a\", BQ_INT, {.i = 5}, 1, 0, \"\", \"\"}, {\"a\", BQ_INT, {.i = 5}, 1, 0, \"\", \"\"}};\n&/; s/\.cook = cook/.cook = cook, .params = p, .n_params = 2/"
wrong "lacks its unit or its help" "s/^BQ_KERNEL/$p {{\"a\", BQ_INT, {.i = 5}, 1, 0, 0, 0}};\n&/; s/\.cook = cook/.cook = cook, .params = p, .n_params = 1/"
echo 'const int bq_kernel_short = 2;' >short.c
refused 2 "a struct bq_kernel has" $banquet kernels ./short.c

# -- a kitchen that sees another file, or none
cat >blind.c <<'END2'
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* A machine without the coordinator's cache. */
int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list args;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (rank && *rank != '0' && strstr(path, "/bright-")) {
        errno = ENOENT;
        return -1;
    }
    va_start(args, flags);
    int mode = va_arg(args, int);
    va_end(args);
    return real(path, flags, mode);
}
END2
check "a blind kitchen" cc -D_GNU_SOURCE -shared -fPIC -o blind.so blind.c -ldl
blind() { mpirun --oversubscribe -n 2 env LD_PRELOAD="$folder/blind.so" "$banquet" run own.yaml --force --quiet; }
if LD_PRELOAD=$folder/blind.so $banquet --version >/dev/null 2>&1; then
    n_checks=$((n_checks + 1))
    blind >out 2>err && fail "a kitchen without the library works"
    grep -q "where all machines see it" err || { fail "a kitchen without the library says so"; cat err; }
else
    echo "SKIPPED a blind kitchen: this build cannot be preloaded" # sanitizers want to be first
fi

# -- wrong kernels are caught, each with a sentence
bad() { # bad BODY [BEFORE]: bad.c, whose cook copies the input and then does this
    cat >bad.c <<END2
#include <banquet/kernel.h>
#include <stdlib.h>
#include <string.h>
${2:-}
static enum bq_answer cook(struct bq_call *call)
{
    const unsigned char *in = call->in->data;
    unsigned char *out = call->out->data;
    uint64_t n = call->out->n * bq_type_size(call->out->type);
    memcpy(out, in, n);
    $1
    return BQ_DONE;
}
BQ_KERNEL(bad) = {.abi = BQ_KERNEL_ABI, .flags = BQ_READS | BQ_WRITES, .name = "bad",
                  .summary = "bad", .cook = cook};
END2
}
caught() { # caught SENTENCE FILE [OPTION ..]: its check fails, and says this
    local sentence=$1 file=$2 status
    shift 2
    n_checks=$((n_checks + 1))
    $banquet kernel check $file --seed $seed --rounds 20 "$@" >out 2>err
    status=$?
    [ $status = 1 ] || { fail "status $status, not 1: $sentence"; cat bad.c out err; }
    grep -qF -- "$sentence" out err || { fail "not caught: $sentence"; cat bad.c out err; }
}
wrong_library() { # wrong_library SENTENCE BODY [BEFORE]: without a source there are no sanitizers: guarded memory alone
    bad "${@:2}"
    check "a wrong one compiles" so bad
    caught "$1" bad.so
}
wrong_source() { # wrong_source SENTENCE BODY [BEFORE]
    bad "${@:2}"
    caught "$1" bad.c
}
check "a good one passes" $banquet kernel check twice.c --seed $seed --rounds 20
wrong_library "behind the end of its output" "memset(out, 1, n + 4096);"
wrong_library "beside its output" "if (n % 64) out[n] = 1;"
wrong_library "bytes before its output" "((volatile unsigned char *)out)[-4000] = 1;"
wrong_library "its input, to write there" "((unsigned char *)in)[0] = 1;"
wrong_library "deterministic" "out[0] = (unsigned char)++calls;" "static int calls;"
wrong_library "it does not write element" "" "#define memcpy(to, from, n) memcpy(to, from, (n) - call->out->n % 2 * bq_type_size(call->out->type))"
wrong_library "deterministic" "out[0] = (unsigned char)rand();"
wrong_library "deterministic" "unsigned char x[64]; volatile unsigned char *p = x; out[0] = p[17];"
wrong_library "it does not crash" "*(volatile int *)8 = 1;"
wrong_library "it does not crash" "if (n > 100) abort();"
wrong_library "comes out differently when the dataset is cut otherwise" "out[0] = (unsigned char)call->chunk + 3;"
wrong_library "fails chunk 0 without a message" "return BQ_FAIL;"
wrong_library "lack BQ_WAITS" "return BQ_WAIT;"
bad "for (volatile int i = 0; i < 2; ) ;"
caught "it comes to an end" bad.c --limit 1
if [ "$($banquet kernel check twice.c --seed $seed --rounds 1 | grep -c '^  skip')" = 0 ]; then
    wrong_source "runtime error: signed integer overflow" \
        "int x = 2147483647; volatile int y = in[0] | 1; if (x + y == 5) out[0] = 1;"
    wrong_source "heap-buffer-overflow" "volatile unsigned char x = in[n]; (void)x;"
    wrong_source "ThreadSanitizer: data race" \
        "n = n < 9999 ? n : 9999; memcpy(scratch, in, n); memcpy(out, scratch, n);" "static unsigned char scratch[9999];"
else
    echo "SKIPPED sanitizers: cc has not all of them"
fi
cat >twin.c <<'END2'
#include <banquet/kernel.h>
static int prepare(struct bq_setup *s) { s->acc_size = 8; return 0; }
static enum bq_answer cook(struct bq_call *c) { *(uint64_t *)c->acc += c->in->n; return BQ_DONE; }
static void init(const union bq_value *p, void *acc) { (void)p; *(uint64_t *)acc = INIT; }
static void combine(const union bq_value *p, void *into, const void *next)
{ (void)p; *(uint64_t *)into += *(const uint64_t *)next; BREAK; }
static void present(const union bq_value *p, const void *acc, struct bq_sink *sink)
{ (void)p; sink->integer(sink, "n", *(const uint64_t *)acc); SAY; }
BQ_KERNEL(twin) = {.abi = BQ_KERNEL_ABI, .flags = BQ_READS, .name = "twin", .summary = "",
                   .prepare = prepare, .init = init, .cook = cook, .combine = combine, .present = present};
END2
reduces() { # reduces STATUS SENTENCE FLAG..
    local status want=$1 sentence=$2
    shift 2
    n_checks=$((n_checks + 1))
    cc -shared -fPIC -I "$include" "$@" -o twin.so twin.c && $banquet kernel check twin.so --seed $seed --rounds 10 >out 2>err
    status=$?
    { [ $status = "$want" ] && grep -qF -- "$sentence" out; } || { fail "reduction, $*: status $status"; cat out err; }
}
reduces 0 "nothing was found" -DINIT=0 -DBREAK= -DSAY=
reduces 1 "what init sets, combined with a result, changes 'n'" -DINIT=5 -DBREAK= -DSAY=
reduces 1 "\`into\` of combine" -DINIT=0 '-DBREAK=((char*)into)[4096]=1' -DSAY=
reduces 1 "it presents 'n' twice" -DINIT=0 -DBREAK= '-DSAY=sink->integer(sink, "n", 1)'
reduces 1 "\`next\` of combine, to write there" -DINIT=0 '-DBREAK=*(char*)next=1' -DSAY=
refused 2 "--seed must be" $banquet kernel check twice.c --seed x
refused 2 "which kernel?" $banquet kernel check
if command -v clang >/dev/null; then
    check "clang compiles and checks too" env CC=clang $banquet kernel check twice.c --seed $seed --rounds 5
    grep -q skip out && echo "SKIPPED a sanitizer of clang"
fi
finish
