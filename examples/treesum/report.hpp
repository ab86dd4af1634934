// What treesum prints: the checksum lines, what could not be read, and the closing table.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "walk.hpp"

// One line of sha256sum's format, with its escapes for names that hold a newline, carriage return or backslash.
std::string checksum_line(const std::array<unsigned char, 32>& sha256, std::string_view path);

// One line per path; control characters in names are shown as escapes, so a name cannot drive the terminal.
void print_unreadable(std::FILE* out, const std::vector<Unreadable>& unreadable);

struct Summary {
  std::uint64_t files = 0, bytes = 0, changed = 0;
  unsigned workers = 0;
  double seconds = 0;         // from the start of the program
  double serial_seconds = 0;  // what one process would have needed at least
  std::string busiest_worker;
  std::uint64_t killed = 0;
};
void print_summary(std::FILE* out, const Summary& summary);
