// The work of one task: the SHA-256 of one file.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "walk.hpp"

struct FileToHash {
  std::uint64_t index = 0;  // comes back in the result, which arrives in the order of completion
  FoundFile file;
};

struct FileDigest {
  std::uint64_t index = 0;
  std::array<unsigned char, 32> sha256{};
  std::uint64_t bytes = 0;  // read
  std::int64_t cpu_ns = 0;  // of this process, for this file
  bool changed = false;     // its size was another one at the end than at the beginning
  std::string error;        // why there is no digest; empty: there is one
};

// Reads to the end, however long the file has become. Never throws for what is wrong with the file.
FileDigest hash_file(const FileToHash& task);
