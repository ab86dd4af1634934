// Finds the regular files under some paths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct FoundFile {
  std::string path;
  std::uint64_t bytes = 0;   // when it was found; it may have changed by the time it is read
  bool is_argument = false;  // named by the user: a symbolic link is followed
};

struct Unreadable {
  std::string path, reason;
};

struct Walk {
  std::vector<FoundFile> files;  // sorted by path, each path once
  std::vector<Unreadable> unreadable;
};

// Symbolic links are followed only when they are in `paths`; what is neither a directory nor a regular file is skipped.
Walk find_files(const std::vector<std::string>& paths);
