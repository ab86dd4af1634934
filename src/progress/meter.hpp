// One line of progress from the numbers behind it. Knows neither clock nor terminal, except for {eta}, which is a time
// of day.
//
// Thread safety: pure. Across fork: nothing is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "progress/fill.hpp"
#include "progress/layout.hpp"

namespace brood::bars {

struct Meter {
  std::uint64_t n = 0;
  std::optional<std::uint64_t> total;
  std::uint64_t initial = 0;
  double elapsed_s = 0;
  std::optional<double> rate;  // per second; otherwise (n - initial) / elapsed_s
  std::string_view desc;
  std::string_view postfix;
  std::string_view unit = "it";
  bool unit_scale = false;
  unsigned unit_divisor = 1000;
  std::optional<int> ncols;  // the room for the whole line; 0: figures without a bar
  std::optional<int> nrows;
  const Charset* charset = &Charset::blocks();
  std::string_view colour;  // escape sequence, empty for none
  std::string_view colour_name;
};

// With the layout of a bar_format, or with the one of tqdm when that is empty.
std::string format_meter(const Meter& meter, const Layout& layout = {});

}  // namespace brood::bars
