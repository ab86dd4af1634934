// The rows of bars on a terminal, and the bytes that change them.
//
// Between two drawings the cursor stands at the beginning of the first row. So what the program itself prints meanwhile
// stays readable (the rows move below it), and when the terminal becomes narrower and wraps the rows, everything from
// the cursor on is ours.
//
// Pure: the bytes are written by somebody else, who keeps the old Screen when they could not be.
// Thread safety: a value. Across fork: a value.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace brood::bars {

class Screen {
 public:
  // The bytes that show `rows`, none of which is wider than `columns`. `thorough`: also those that should stand there
  // already, in case somebody else wrote over them.
  std::string show(const std::vector<std::string>& rows, int columns, bool thorough);

  // The same, after whole lines of any width above the rows. `text` ends without a line feed.
  std::string print_above(std::string_view text, const std::vector<std::string>& rows, int columns);

  // The bytes that move the cursor below the rows, which stay where they are.
  std::string step_over();

  std::size_t rows() const noexcept { return shown_.size(); }

 private:
  std::vector<std::string> shown_;
  int columns_ = 0;
};

}  // namespace brood::bars
