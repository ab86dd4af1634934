# Libraries to load and unload: two builds of one library, each with a build-id and without.
foreach(id sha1 none)
  foreach(build 1 2)
    set(plugin brood_wire_plugin_${id}_${build})
    add_library(${plugin} MODULE ${CMAKE_CURRENT_LIST_DIR}/plugin/plugin.cpp)
    target_compile_definitions(${plugin} PRIVATE PLUGIN_BUILD=${build})
    target_link_options(${plugin} PRIVATE -Wl,--build-id=${id})
    add_dependencies(brood_wire_tests ${plugin})
    string(TOUPPER ${plugin} name)
    target_compile_definitions(brood_wire_tests PRIVATE ${name}="$<TARGET_FILE:${plugin}>")
  endforeach()
endforeach()

# Programs that must not compile, and what the compiler has to say.
add_test(NAME wire.compile_fail
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/compile_fail/compile_fail_test.py
          ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_LIST_DIR}/compile_fail)
set_tests_properties(wire.compile_fail PROPERTIES COST 100 TIMEOUT 300 LABELS wire)

include(${CMAKE_CURRENT_LIST_DIR}/function/function.cmake)
