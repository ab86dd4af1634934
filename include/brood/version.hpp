// The version of the headers and of the library. CMake reads the three numbers from this file.
//
// Thread safety: all of it may be used from any thread. Across fork: nothing to do.
#pragma once

#define BROOD_VERSION_MAJOR 0
#define BROOD_VERSION_MINOR 1
#define BROOD_VERSION_PATCH 0

namespace brood {

// The version of the library that is linked or loaded, "major.minor.patch". It differs from the macros above when the
// program was compiled against the headers of another version.
const char* version() noexcept;

}  // namespace brood
