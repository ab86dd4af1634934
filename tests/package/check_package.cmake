# cmake -DWORK=folder (-DBROOD_BUILD=folder | -DBROOD_SOURCE=folder -DSHARED=bool) -DSOURCE=consumer
#       -DCXX=compiler -DCXX_FLAGS=flags -DBUILD_TYPE=type -DLAUNCHER=ccache -P check_package.cmake
#
# With BROOD_BUILD: installs that build. With BROOD_SOURCE: builds the consumer with brood inside it, runs it, installs
# from there. Then, for both: moves the installed tree, builds the consumer with find_package and with pkg-config, and
# runs it.

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(build_consumer folder)
  run(${CMAKE_COMMAND} -S ${SOURCE} -B ${folder} -G Ninja -DCMAKE_BUILD_TYPE=${BUILD_TYPE} -DCMAKE_CXX_COMPILER=${CXX}
      "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}" ${ARGN})
  run(${CMAKE_COMMAND} --build ${folder} --parallel 2)
  run(${folder}/consumer)
endfunction()

file(REMOVE_RECURSE ${WORK})
if(BROOD_SOURCE)
  set(BROOD_BUILD ${WORK}/inside)
  build_consumer(${WORK}/inside -DBROOD_SOURCE=${BROOD_SOURCE} -DBUILD_SHARED_LIBS=${SHARED} -DBROOD_INSTALL=ON)
endif()

run(${CMAKE_COMMAND} --install ${BROOD_BUILD} --prefix ${WORK}/installed)
file(RENAME ${WORK}/installed ${WORK}/moved)
build_consumer(${WORK}/outside -DCMAKE_PREFIX_PATH=${WORK}/moved)

find_program(pkg_config pkg-config)
if(pkg_config)
  file(GLOB_RECURSE pc_file ${WORK}/moved/brood.pc)
  cmake_path(GET pc_file PARENT_PATH pc_folder)
  cmake_path(GET pc_folder PARENT_PATH lib_folder)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${pc_folder} ${pkg_config} --cflags --libs brood
                  OUTPUT_VARIABLE flags COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${CXX_FLAGS} ${flags}")
  run(${CXX} -std=c++20 ${SOURCE}/main.cpp -o ${WORK}/with_pkg_config ${flags})
  run(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${lib_folder} ${WORK}/with_pkg_config)
endif()
