#!/usr/bin/env bash
# Installed files are enough for a program of one's own: by pkg-config and by CMake.
. "$(dirname "$0")/cli.bash"

build=$(dirname "$banquet")
check "install" cmake --install "$build" --prefix "$folder/usr"
check "the installed program runs" usr/bin/banquet --version
check "the man page is there" test -s usr/share/man/man1/banquet.1
export XDG_CACHE_HOME=$folder/cache
check "it makes a kernel" usr/bin/banquet kernel new own
check "for which the installed header is enough" cc -shared -fPIC -I usr/include -o own.so own.c
check "and which it tries out" usr/bin/banquet kernel check ./own.so --rounds 5
cp "$root/docs/invert.c" mine.c
pc=$(dirname "$(find "$folder/usr" -name banquet.pc)")
sanitize=$(sed -n 's/^BANQUET_SANITIZE:STRING=//p' "$build/CMakeCache.txt")
export PKG_CONFIG_PATH=$pc
check "pkg-config builds a program" bash -c "gcc ${sanitize:+-fsanitize=$sanitize} mine.c -o mine \$(pkg-config --cflags --libs banquet)"
check "data" ./mine make photo photo.h5 --size 64x64 --quiet
printf 'kernel: invert\ninput: photo.h5:/photo\noutput: inv.h5:/photo\n' >job.yaml
refused 2 "it inverts uint8, not float32" bash -c "./mine make field field.h5 --size 1x9x9 --quiet >/dev/null && ./mine run job.yaml --input field.h5:/field --output o.h5:/o"
check "one's own kernel runs" ./mine run job.yaml --quiet
printf 'kernel: ./own.c\ninput: photo.h5:/photo\n' >own.yaml
check "and a file's, in the same program" ./mine run own.yaml --quiet
check "in kitchens too" ./mine run job.yaml --quiet --force -n 3
check "it is listed" bash -c "./mine kernels invert | grep -q negative"
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(mine C)
find_package(banquet REQUIRED)
add_executable(mine mine.c)
target_link_libraries(mine PRIVATE banquet::banquet)
END
check "CMake finds the package" cmake -S . -B b -DCMAKE_PREFIX_PATH="$folder/usr" ${sanitize:+-DCMAKE_C_FLAGS=-fsanitize=$sanitize}
check "CMake builds a program" cmake --build b
check "and it runs" b/mine run job.yaml --quiet --force
finish
