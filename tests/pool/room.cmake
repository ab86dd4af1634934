# Calls that must not compile, and what the compiler has to say.
add_test(NAME pool.compile_fail
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/compile_fail/compile_fail_test.py
          ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_LIST_DIR}/compile_fail)
set_tests_properties(pool.compile_fail PROPERTIES COST 100 TIMEOUT 300 LABELS pool)

# Everything that starts workers runs once more under each of the other start methods. Not these:
set(unaffected
  # The dispatcher against workers that the test plays, and engines whose workers are threads: no process is started.
  Dispatcher* */Dispatcher* */CutShort.* ThreadWorkers.* */ThreadDeath.*
  # Go through all methods by themselves.
  */EveryMethod.* */LibraryForEveryMethod.* Methods.* ForkServer.* OrphansOfAllMethods.*
  */StartOfAPool.* StartOfTheForkServer.*)
list(JOIN unaffected ":" unaffected)
foreach(method forkserver spawn)
  gtest_discover_tests(brood_pool_tests TEST_PREFIX pool_${method}. TEST_LIST brood_pool_tests_${method}
    TEST_FILTER "-${unaffected}" DISCOVERY_TIMEOUT 120
    PROPERTIES TIMEOUT 300 LABELS pool_${method} ENVIRONMENT BROOD_TEST_START_METHOD=${method})
endforeach()
