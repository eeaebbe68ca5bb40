# Warnings are errors, under gcc and clang. BANQUET_SANITIZE: a list for -fsanitize=, which BANQUET_FUZZ sets.
option(BANQUET_WERROR "Warnings are errors" ON)
set(BANQUET_SANITIZE "" CACHE STRING "address,undefined or thread")
add_library(bq_flags INTERFACE)
target_compile_options(bq_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
                       -Wswitch-enum -Wvla -Wno-unknown-pragmas -ffp-contract=off)
if(BANQUET_WERROR)
  target_compile_options(bq_flags INTERFACE -Werror)
endif()
# _GNU_SOURCE: pthread affinity, accept4, memfd; each use sits in an adapter.
target_compile_definitions(bq_flags INTERFACE _GNU_SOURCE)
option(BANQUET_FUZZ "Build the fuzz targets with libFuzzer, and everything for it" OFF)
if(BANQUET_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "BANQUET_FUZZ needs clang: libFuzzer is a part of it")
  endif()
  set(BANQUET_SANITIZE fuzzer-no-link,address,undefined)
endif()
if(BANQUET_SANITIZE)
  target_compile_options(bq_flags INTERFACE -fsanitize=${BANQUET_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(bq_flags INTERFACE -fsanitize=${BANQUET_SANITIZE})
endif()
