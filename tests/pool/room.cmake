# Calls that must not compile, and what the compiler has to say.
add_test(NAME pool.compile_fail
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/compile_fail/compile_fail_test.py
          ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_LIST_DIR}/compile_fail)
set_tests_properties(pool.compile_fail PROPERTIES TIMEOUT 300 LABELS pool)
