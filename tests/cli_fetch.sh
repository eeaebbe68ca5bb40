#!/usr/bin/env bash
# Kernel fetch against a real server on loopback (nginx.bash): the same digest however it is fetched,
# and what becomes of servers, URLs and lists that are wrong.
. "$(dirname "$0")/cli.bash"
. "$root/tests/nginx.bash"

unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
fetch() { # fetch LIST ARGUMENT..
    local list=$1
    shift
    $banquet run fetch.yaml --set params.list="$list" --force "$@"
}
cat >fetch.yaml <<'EOF'
kernel: fetch
params: {list: none, tries: 2}
open: 16
output: rows.h5:/rows
EOF
rows() { # rows FILE: each row as `status bytes hash`
    /usr/bin/python3 -c "import h5py, sys
for s, n, high, low in h5py.File('$1')['/rows'][:]: print(s, n, f'{high:016x}{low:016x}')"
}

# -- lists ------------------------------------------------------------------------------------------

mkdir files
nginx_files files 300
seq -f 'files/f%.0f' 300 >list
check "files are fetched" fetch list --quiet --json j.json
same "all of them" "$(number j.json fetched)" 300
rows rows.h5 | awk '{print $1, $2, $3}' >got
while read -r name; do
    printf '0 %s %s\n' "$(stat -c %s "$name")" "$(xxh128sum -q "$name" | cut -d ' ' -f 1)"
done <list >want
check "rows are what wc and xxh128sum say" cmp got want
one=$(digest fetch list)
for open in 1 7 400; do
    same "files, open $open" "$(digest fetch list --open $open --cooks 2)" "$one"
done
sed 's/$/\r/' list >list.dos
same "a list made on Windows" "$(digest fetch list.dos)" "$one"
printf %s "$(cat list)" >list.open
same "a last line without its end" "$(digest fetch list.open)" "$one"
same "several lines a chunk" "$(rows rows.h5)" \
    "$(fetch list --chunk 7x4 --quiet >/dev/null && rows rows.h5)"

: >empty
printf 'files/f1\n\nfiles/f2\n' >hole
printf 'files/f1\nfiles/\0f2\n' >nul
{ echo files/f1 && head -c 5000 /dev/zero | tr '\0' x && echo; } >long
{ echo files/f1 && head -c 200000000 /dev/zero | tr '\0' x; } >longest
refused 2 "params.list is missing" $banquet run fetch.yaml --set params.list= --force
refused 2 "none: No such file" $banquet run fetch.yaml --force
refused 2 "the list is empty" fetch empty
refused 2 "hole:2: the line is empty" fetch hole
refused 2 "nul:2: a byte that is zero" fetch nul
refused 2 "long:2: the line is longer than" fetch long
refused 2 "longest:2: the line is longer than" fetch longest
refused 2 "not a regular file" fetch files
refused 2 "not a regular file" fetch /dev/zero
rm longest
yes files/f2 | head -n 1000000 >million
check "a million lines are planned" $banquet plan fetch.yaml --set params.list=million --set output.compress=none
yes files/f2 | head -n 20000 >many
check "many lines are fetched" fetch many --open 64 --quiet --json j.json
same "each of them" "$(number j.json fetched) $(number j.json bytes)" "20000 $((20000 * $(stat -c %s files/f2)))"

printf '%s\n' files/f2 files/none files /dev/zero files/f3 >list
refused 3 "3 of 5 chunks were given up" fetch list --json j.json
for text in "files/none: No such file" "files: it is not a regular file" "/dev/zero: it is not"; do
    check "$text" grep -q "$text" j.json
done
same "what is no file is given up, the rest is there" "$(number j.json n_given_up) $(number j.json fetched)" "3 2"
printf '%s\n' files/f2 files/f3 >list
refused 1 "more than max_bytes" fetch list --set params.max_bytes=20
printf 'file://%s\n' "$PWD"/files/f{2,3} >list
check "file: is fetched" fetch list --json j.json
same "as a file is" "$(rows rows.h5)" "$(sed -n 2,3p want)"

# -- the server -------------------------------------------------------------------------------------

if ! nginx_has; then
    echo "nginx is not installed: the tests with a server are SKIPPED"
    [ $n_failed = 0 ] || finish
    exit 77
fi
trap 'nginx_stop; rm -rf "$folder"' EXIT
check "nginx starts" nginx_start "$folder" 300
seq -f "$site/files/f%.0f" 300 >urls
check "URLs are fetched" fetch urls --open 50 --json j.json
check "what is fetched is what is there" cmp <(rows rows.h5) <(sed 's/^0/200/' want)
same "and counted" "$(number j.json fetched) $(number j.json refused)" "300 0"
one=$(digest fetch urls)
for open in 1 200; do
    same "open $open" "$(digest fetch urls --open $open --cooks 1)" "$one"
    same "open $open, two cooks" "$(digest fetch urls --open $open --cooks 2)" "$one"
    same "open $open, kitchens" "$(digest fetch urls --open $open --cooks 1 -n 3)" "$one"
done
same "gzip" "$(digest fetch urls --set output.compress=gzip)" "$one"
same "few descriptors" "$(ulimit -n 1024; digest fetch urls --open 300)" "$one"
for way in late moved; do
    sed "s:/files/:/$way/:" urls >list
    same "$way" "$(digest fetch list --open 100)" "$one"
done

# A server that refuses more than it serves, as servers do that are asked too often.
head -n 30 urls >few
few=$(digest fetch few)
sed 's:/files/:/busy/:' few >list
same "a busy server, in the end" "$(digest fetch list --open 30 --set params.tries=40)" "$few"
check "it was busy" grep -q limiting "$folder/error.log"

# What fails is named, and costs nothing else.
{
    sed -n 1,5p urls
    echo "$site/nowhere"
} >list
check "a 404 is an answer" fetch list --json j.json
same "and counted" "$(number j.json fetched) $(number j.json refused)" "5 1"
same "in its row" "$(rows rows.h5 | tail -n 1)" "404 0 $(printf '%032d' 0)"
wrong() { # wrong TEXT LINE ARGUMENT..: the line is given up with the text, the others are fetched
    local text=$1 line=$2
    shift 2
    { sed -n 1,5p urls && echo "$line" && sed -n 6,9p urls; } >list
    refused 3 "$text" fetch list --json j.json --set params.tries=1 "$@"
    same "only $line is given up" "$(number j.json n_given_up) $(number j.json fetched)" "1 9"
}
wrong "/broken/f1: status 500" "$site/broken/f1"
wrong "$site/short/f29: " "$site/short/f29"
wrong "$site/slow/f200: Operation timed out" "$site/slow/f200" --set params.timeout_s=0.3
wrong "$site/loop: Maximum (5) redirects" "$site/loop"
wrong "$site/away: Protocol \"file\"" "$site/away"
wrong "http://127.0.0.1:1/x: Failed to connect" http://127.0.0.1:1/x
wrong "ftp://127.0.0.1/x: Protocol \"ftp\"" ftp://127.0.0.1/x
wrong "gopher://x/: Protocol" gopher://x/
wrong "http://: " http://
wrong "http://[::1/x: " 'http://[::1/x'
wrong "Could not resolve host" http://no.such.host.invalid/
wrong "$site/files/f200: more than max_bytes (2000)" "$site/files/f200" --set params.max_bytes=2000
wrong "x?[31m" "$(printf 'x\033[31m')"

# In the middle of it: stops at once, leaves nothing.
yes "$site/slow/f200" | head -n 40 >list
rm -f rows.h5
$banquet run fetch.yaml --set params.list=list --open 20 --cooks 2 --quiet >out 2>err &
pid=$!
for _ in $(seq 200); do
    ls .rows.h5* >/dev/null 2>&1 && break
    sleep 0.05
done
sleep 0.3
kill -TERM $pid
wait $pid
same "a stop in the middle" $? 75
check "leaves no output" test ! -e rows.h5

nginx_stop
refused 1 "every chunk failed" fetch few --set params.tries=1
refused 1 "$site/files/f" fetch few --set params.tries=1
refused 1 "Failed to connect" fetch few --set params.tries=1
finish
