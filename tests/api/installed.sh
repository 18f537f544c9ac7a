#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The library as others get it: installed into a folder (with a space in its path), moved, found with pkg-config and with
# CMake, linked shared and static, from C11 and C++17; each program runs. PH_BUILD: the build directory.
set -eu
cd "$(dirname "$0")/../.."
: "${PH_BUILD:=$PWD/build/release}"
source=$PWD/tests/api
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

check() { # name command...
    label=$1
    shift
    count=$((count + 1))
    if "$@" >"$work/out" 2>&1; then
        echo "ok $count - $label"
    else
        echo "not ok $count - $label"
        sed 's/^/# /' "$work/out"
        failed=1
    fi
}

cmake --install "$PH_BUILD" --component library --prefix "$work/first place" >"$work/out" 2>&1 || cat "$work/out" >&2
prefix=$work/second
mv "$work/first place" "$prefix"
pkgconfig=$(dirname "$(find "$prefix" -name posthouse.pc)")
libdir=$(dirname "$pkgconfig")
PKG_CONFIG_PATH=$pkgconfig
export PKG_CONFIG_PATH

# The words of pkg-config are options; paths in them have no blanks here.
with_pkg_config() { # compiler language standard kind
    flags=$(pkg-config --cflags posthouse)
    case $4 in
    shared) libs=$(pkg-config --libs posthouse) ;;
    # The archive itself, and what the file says it needs.
    static) libs="$libdir/libposthouse.a $(pkg-config --static --libs posthouse | sed 's/-lposthouse//')" ;;
    esac
    # shellcheck disable=SC2086 # lists of words
    "$1" -x "$2" "-std=$3" -Wall -Wextra -Werror $flags "$source/consumer.c" -x none $libs -o "$work/consumer" &&
        LD_LIBRARY_PATH=$libdir "$work/consumer" && links "$4" "$work/consumer"
}

links() { # kind program
    if [ "$1" = static ]; then
        ! objdump -p "$2" | grep NEEDED | grep libposthouse
    else
        objdump -p "$2" | grep NEEDED | grep -F libposthouse.so.0
    fi
}

with_cmake() { # language standard target components
    rm -rf "$work/project"
    mkdir "$work/project"
    case $1 in
    C) name=consumer.c ;;
    CXX) name=consumer.cc ;;
    esac
    cp "$source/consumer.c" "$work/project/$name"
    cat >"$work/project/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
find_package(posthouse 0.1 REQUIRED $4)
add_executable(consumer $name)
set_target_properties(consumer PROPERTIES $1_STANDARD $2 $1_EXTENSIONS OFF)
target_link_libraries(consumer PRIVATE $3)
EOF
    cmake -G Ninja -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$prefix" &&
        cmake --build "$work/project/build" && "$work/project/build/consumer"
}

check "pkg-config, shared, C11" with_pkg_config "${CC:-cc}" c c11 shared
check "pkg-config, static, C11" with_pkg_config "${CC:-cc}" c c11 static
check "pkg-config, shared, C++17" with_pkg_config "${CXX:-c++}" c++ c++17 shared
check "pkg-config, static, C++17" with_pkg_config "${CXX:-c++}" c++ c++17 static
check "CMake, shared, C11" with_cmake C 11 posthouse::posthouse ""
check "CMake, static, C11" with_cmake C 11 posthouse::posthouse_static "COMPONENTS static"
check "CMake, shared, C++17" with_cmake CXX 17 posthouse::posthouse ""
check "CMake, static, C++17" with_cmake CXX 17 posthouse::posthouse_static "COMPONENTS static"
echo "1..$count"
exit $failed
