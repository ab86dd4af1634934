#include "progress/figures.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "progress/format_spec.hpp"

namespace brood::bars {
namespace {

std::string two_digits(std::int64_t value) {
  std::string text = std::to_string(value);
  if (text.size() < 2) text.insert(0, 1, '0');
  return text;
}

std::string shorter(double value, const std::string& exact) {
  std::string rounded = std::isfinite(value) ? print_real(value, 'g', 3) : exact;
  // An exponent is written with one digit where one is enough.
  if (const std::size_t e = rounded.find('e'); e != std::string::npos && rounded[e + 2] == '0') rounded.erase(e + 2, 1);
  return rounded.size() < exact.size() ? rounded : exact;
}

}  // namespace

std::string format_sizeof(double value, double divisor) {
  for (const std::string_view prefix : {"", "k", "M", "G", "T", "P", "E", "Z"}) {
    const double size = std::fabs(value);
    if (size < 999.5) {
      const int digits = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
      std::string text = print_real(value, 'f', digits);
      if (text.size() < 3) text.insert(0, 3 - text.size(), ' ');
      return text.append(prefix);
    }
    value /= divisor;
  }
  return print_real(value, 'f', 1) + "Y";
}

std::string format_interval(double seconds) {
  // So that what follows cannot overflow; also what infinity and nonsense become.
  constexpr double kLongest = 9e18;
  const bool negative = seconds < 0;
  const double size = std::fabs(seconds);
  const auto whole = static_cast<std::int64_t>(size < kLongest ? size : kLongest);
  const std::int64_t minutes = whole / 60;
  const std::string tail = two_digits(minutes % 60) + ":" + two_digits(whole % 60);
  const std::string sign = negative ? "-" : "";
  return minutes >= 60 ? sign + std::to_string(minutes / 60) + ":" + tail : sign + tail;
}

std::string format_number(double value) { return shorter(value, shortest(value)); }

std::string format_number(std::int64_t value) { return shorter(static_cast<double>(value), std::to_string(value)); }

std::string format_number(std::uint64_t value) { return shorter(static_cast<double>(value), std::to_string(value)); }

}  // namespace brood::bars
