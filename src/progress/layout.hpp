// A bar_format such as "{l_bar}{bar:30}{r_bar}", taken apart once when the bar is made.
//
// Thread safety: immutable after parse(). Across fork: values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "progress/format_spec.hpp"

namespace brood::bars {

enum class Field : unsigned char {
  literal,
  colon,  // ": " after {desc}: left out when there is no description
  bar,
  eta,
  // Text.
  colour,
  desc,
  elapsed,
  l_bar,
  n_fmt,
  postfix,
  r_bar,
  rate_fmt,
  rate_inv_fmt,
  rate_noinv_fmt,
  remaining,
  total_fmt,
  unit,
  // Whole numbers.
  n,
  ncols,
  nrows,
  total,
  unit_divisor,
  // Real numbers.
  elapsed_s,
  percentage,
  rate,
  rate_inv,
  rate_noinv,
  remaining_s,
};

// "{bar:-30b}": the width (negative: so much less than the room there is) and the characters.
struct BarSpec {
  std::optional<int> width;
  char charset = '\0';  // a: ASCII, u: blocks, b: blank; otherwise the bar's own

  static std::optional<BarSpec> parse(std::string_view text);
};

struct Piece {
  Field field = Field::literal;
  std::string text;             // of a literal; of {eta}: its strftime format
  FormatSpec spec;              // of text and numbers
  bool number_as_text = false;  // {n!s:>8}
  BarSpec bar;
};

class Layout {
 public:
  Layout() = default;
  // Throws std::invalid_argument that names the field or the specification which is wrong.
  static Layout parse(std::string_view bar_format);

  bool empty() const noexcept { return pieces_.empty(); }
  const std::vector<Piece>& pieces() const noexcept { return pieces_; }

 private:
  std::vector<Piece> pieces_;
};

}  // namespace brood::bars
