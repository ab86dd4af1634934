// The part after the colon in "{percentage:3.0f}": Python's format specification, which tqdm's bar formats are written
// in.
//
//   [[fill]align][sign][#][0][width][, or _][.precision][type]
//
// Thread safety: values. Across fork: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace brood::bars {

enum class FieldKind { text, integer, real };

struct FormatSpec {
  std::string fill = " ";  // one character
  char align = '\0';       // < > ^ = or none
  char sign = '-';
  bool alternate = false;
  int width = 0;
  char grouping = '\0';  // , or _ or none
  std::optional<int> precision;
  char type = '\0';

  // Nothing when `text` is no specification for a field of that kind.
  static std::optional<FormatSpec> parse(std::string_view text, FieldKind kind);

  std::string format(std::string_view value) const;
  std::string format(std::uint64_t value) const;
  std::string format(double value) const;
  // For a number that is not known: "?".
  std::string format_missing() const;

 private:
  std::string pad(std::string_view text, char default_align) const;
  std::string finish_number(bool negative, std::string_view prefix, std::string_view digits, std::size_t group) const;
};

// `value` with as few digits as it can be told from every other by, as Python prints it: "0.1", "5.0", "1e+16".
std::string shortest(double value);
// printf's %.{precision}{type}, for the types e, f and g, whatever the locale.
std::string print_real(double value, char type, int precision);

}  // namespace brood::bars
