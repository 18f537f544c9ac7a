# SPDX-License-Identifier: Apache-2.0
# The kinds of target there are, each in one line of a folder's CMakeLists.txt.

# ph_library(wire SOURCES a.c b.c USES base PkgConfig::CRYPTO)
# A folder. What it may call is what it links: an upward call does not link.
function(ph_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(${name} PUBLIC ${ARG_USES})
endfunction()

# ph_testing(wire_testing SOURCES a.c USES wire)
# What test programs share, of a folder of tests/. It may look into the folder that it is for.
function(ph_testing name)
    ph_library(${name} ${ARGN})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

# ph_test(wire_test SOURCES a_test.c USES wire [SLOW])
# A program of TEST()s; script/test finds it by the list it is on.
function(ph_test name)
    cmake_parse_arguments(ARG "SLOW" "" "SOURCES;USES" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE harness ${ARG_USES})
    target_compile_definitions(${name} PRIVATE PH_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    if(ARG_SLOW)
        set_property(GLOBAL APPEND PROPERTY PH_TESTS_SLOW $<TARGET_FILE:${name}>)
    else()
        set_property(GLOBAL APPEND PROPERTY PH_TESTS $<TARGET_FILE:${name}>)
    endif()
endfunction()

# ph_fuzzer(fuzz_message SOURCES fuzz_message.c USES wire)
# Under the fuzz preset a libFuzzer program; elsewhere a program that replays its corpus, so that every build does.
function(ph_fuzzer name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
    if(PH_FUZZ)
        add_executable(${name} ${ARG_SOURCES})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/fuzz/replay.c)
        set_property(GLOBAL APPEND PROPERTY PH_FUZZERS $<TARGET_FILE:${name}>)
    endif()
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE ${ARG_USES})
endfunction()

# bench_program(bench_wire SOURCES wire.c USES wire)
# Built on demand: script/bench asks for bench_programs. Left out where a library that it uses was not found.
function(bench_program name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
    if(ARG_USES MATCHES "NOTFOUND")
        return()
    endif()
    add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE ${ARG_USES})
    add_dependencies(bench_programs ${name})
endfunction()
