# Programs with a main() of their own, which calls brood::init() not at all, or late.
foreach(program IN ITEMS no_init late_init)
  add_executable(brood_process_${program} ${CMAKE_CURRENT_LIST_DIR}/${program}_main.cpp)
  target_link_libraries(brood_process_${program} PRIVATE brood::brood)
endforeach()
add_dependencies(brood_process_tests brood_process_no_init brood_process_late_init)
add_test(NAME process.programs
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/programs_test.py
          $<TARGET_FILE:brood_process_no_init> $<TARGET_FILE:brood_process_late_init>)
set_tests_properties(process.programs PROPERTIES TIMEOUT 300 LABELS process)
