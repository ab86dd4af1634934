// Prints a range as Python prints a list: the seeds' output is compared byte by byte.
#pragma once

#include <cstdio>
#include <string>

template <class Range>
void print_list(const char* prefix, Range&& range) {
  std::string text;
  for (auto&& value : range) text += (text.empty() ? "" : ", ") + std::to_string(value);
  std::printf("%s[%s]\n", prefix, text.c_str());
}
