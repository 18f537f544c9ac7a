# SPDX-License-Identifier: Apache-2.0
# How everything is compiled. Presets set the options; see CMakePresets.json.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(PH_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
option(PH_SLOW_ASSERTS "Assertions that walk structures" OFF)
option(PH_FUZZ "Build the fuzzers (clang)" OFF)
option(PH_COVER "Measure which lines are reached" OFF)
option(PH_HARDEN "Hardening flags" OFF)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
    -Wall -Wextra -Wshadow -Wvla -Werror -fno-omit-frame-pointer
    $<$<COMPILE_LANGUAGE:C>:-Wconversion>
    $<$<COMPILE_LANGUAGE:C>:-Wswitch-enum>
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)

if(PH_SLOW_ASSERTS)
    add_compile_definitions(PHI_SLOW_ASSERTS=1)
else()
    add_compile_definitions(PHI_SLOW_ASSERTS=0)
endif()

if(PH_SANITIZE)
    # Between its own calls gcc loses sight of what was written, and warns; clang does not know that warning.
    add_compile_options(-fsanitize=${PH_SANITIZE} -fno-sanitize-recover=all $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    add_link_options(-fsanitize=${PH_SANITIZE})
endif()

if(PH_COVER)
    add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
    add_link_options(-fprofile-instr-generate)
endif()

if(PH_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(PH_HARDEN)
    add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection -Wformat -Wformat-security)
    add_compile_definitions(_FORTIFY_SOURCE=2)
    add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
