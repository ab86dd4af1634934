# Libraries with callables, of several builds.
foreach(build 1 2 3)
  set(library brood_wire_functions_${build})
  add_library(${library} MODULE ${CMAKE_CURRENT_LIST_DIR}/library.cpp)
  target_link_libraries(${library} PRIVATE brood::brood)
  target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${library} PRIVATE FUNCTIONS_BUILD=${build})
  # What is unique in the whole process cannot be closed; libstdc++ has such things, and so has a static brood.
  target_link_options(${library} PRIVATE -Wl,--build-id=sha1 -Wl,--exclude-libs,ALL)
  string(TOUPPER ${library} name)
  foreach(user brood_wire_tests brood_pool_tests)
    add_dependencies(${user} ${library})
    target_compile_definitions(${user} PRIVATE ${name}="$<TARGET_FILE:${library}>")
  endforeach()
endforeach()

# These can be unloaded.
foreach(build 1 2)
  add_dependencies(brood_pool_tests brood_wire_plugin_sha1_${build})
  target_compile_definitions(brood_pool_tests PRIVATE
    BROOD_WIRE_PLUGIN_SHA1_${build}="$<TARGET_FILE:brood_wire_plugin_sha1_${build}>")
endforeach()

# Many callables with equal code, optimised, and folded where the linker can do that.
include(CheckLinkerFlag)
set(folding "")
foreach(linker lld gold)
  check_linker_flag(CXX "-fuse-ld=${linker};-Wl,--icf=all" BROOD_FOLDS_WITH_${linker})
  if(BROOD_FOLDS_WITH_${linker})
    set(folding -fuse-ld=${linker} -Wl,--icf=all)
    break()
  endif()
endforeach()
add_executable(brood_folded_functions ${CMAKE_CURRENT_LIST_DIR}/folded.cpp)
target_link_libraries(brood_folded_functions PRIVATE brood::brood)
target_compile_options(brood_folded_functions PRIVATE -O2 -ffunction-sections)
target_link_options(brood_folded_functions PRIVATE ${folding})
add_test(NAME wire.folded_functions COMMAND brood_folded_functions)
set_tests_properties(wire.folded_functions PROPERTIES TIMEOUT 120 LABELS wire)
