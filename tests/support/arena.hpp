// Memory at the same address in a test program and in every process that it starts, by whatever method.
//
// Tests share counters and flags with their tasks through plain pointers. A child of fork inherits them; a process that
// inherits nothing finds the memory through a variable of the environment, before anything else happens in main().
//
// Thread safety: all. Across fork: parent and child share it.
#pragma once

#include <cstddef>

namespace brood::testing {

// Call first in main().
void map_arena();

// Zeroed memory for any number of objects, aligned for all; given back by free_shared().
void* allocate_shared(std::size_t bytes);
void free_shared(void* memory, std::size_t bytes) noexcept;

}  // namespace brood::testing
