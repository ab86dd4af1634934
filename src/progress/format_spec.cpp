#include "progress/format_spec.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "progress/text.hpp"

namespace brood::bars {
namespace {

// Wider than any terminal, and small enough that a mistyped number does not eat the memory.
constexpr int kMaxNumber = 4096;

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

// Takes a number off the front; nothing when there is none or it is absurd.
std::optional<int> take_number(std::string_view& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || text.front() == '-' || value > kMaxNumber) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

bool fits(const FormatSpec& spec, FieldKind kind, bool has_sign) {
  switch (kind) {
    case FieldKind::text:
      return (spec.type == '\0' || spec.type == 's') && !has_sign && !spec.alternate && spec.grouping == '\0' &&
             spec.align != '=';
    case FieldKind::integer:
      if (is_one_of(spec.type, {"\0dnboxX", 7})) {
        if (spec.grouping != '\0' && spec.type == 'n') return false;
        return !spec.precision && !(spec.grouping == ',' && is_one_of(spec.type, "boxX"));
      }
      [[fallthrough]];
    case FieldKind::real:
      if (spec.grouping != '\0' && spec.type == 'n') return false;
      return is_one_of(spec.type, {"\0eEfFgGn%", 9}) && !spec.alternate;
  }
  return false;
}

// The digits with `separator` between groups, counted from the right.
std::string grouped(std::string_view digits, char separator, std::size_t group) {
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % group == 0) text += separator;
    text += digits[i];
  }
  return text;
}

std::string without_point_zeros(const std::string& text) {
  const std::size_t end = text.find('e');
  const std::string exponent = end == std::string::npos ? "" : text.substr(end);
  std::string mantissa = text.substr(0, end);
  if (mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  return mantissa + exponent;
}

// As %g, but with at least one digit after the point: what Python does for a number without a type.
std::string print_untyped(double value, int precision) {
  precision = std::max(precision, 1);
  const std::string scientific = print_real(value, 'e', precision - 1);
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  if (exponent < -4 || exponent >= precision - 1) return without_point_zeros(scientific);
  std::string text = without_point_zeros(print_real(value, 'f', precision - 1 - exponent));
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

}  // namespace

std::string print_real(double value, char type, int precision) {
  const std::chars_format format = type == 'e'   ? std::chars_format::scientific
                                   : type == 'f' ? std::chars_format::fixed
                                                 : std::chars_format::general;
  // The longest fixed double has 309 digits before the point.
  std::string text(static_cast<std::size_t>(precision) + 340, '\0');
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, format, precision).ptr;
  text.resize(static_cast<std::size_t>(end - text.data()));
  return text;
}

std::string shortest(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const double size = std::fabs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  char text[64];
  const auto end =
      std::to_chars(text, text + sizeof text, value, fixed ? std::chars_format::fixed : std::chars_format::scientific)
          .ptr;
  std::string result(text, end);
  if (fixed && result.find('.') == std::string::npos) result += ".0";
  return result;
}

std::optional<FormatSpec> FormatSpec::parse(std::string_view text, FieldKind kind) {
  FormatSpec spec;
  if (!text.empty()) {
    const std::size_t fill = first_character(text).bytes;
    if (text.size() > fill && is_one_of(text[fill], "<>^=")) {
      spec.fill = text.substr(0, fill);
      spec.align = text[fill];
      text.remove_prefix(fill + 1);
    } else if (is_one_of(text.front(), "<>^=")) {
      spec.align = text.front();
      text.remove_prefix(1);
    }
  }
  const bool has_sign = !text.empty() && is_one_of(text.front(), "+- ");
  if (has_sign) {
    spec.sign = text.front();
    text.remove_prefix(1);
  }
  spec.alternate = take(text, '#');
  if (take(text, '0') && spec.align == '\0') {
    spec.fill = "0";
    spec.align = kind == FieldKind::text ? '<' : '=';
  }
  if (!text.empty() && is_one_of(text.front(), "0123456789")) {
    const std::optional<int> width = take_number(text);
    if (!width) return std::nullopt;
    spec.width = *width;
  }
  if (!text.empty() && is_one_of(text.front(), ",_")) {
    spec.grouping = text.front();
    text.remove_prefix(1);
  }
  if (take(text, '.')) {
    spec.precision = text.empty() ? std::nullopt : take_number(text);
    if (!spec.precision) return std::nullopt;
  }
  if (!text.empty()) {
    spec.type = text.front();
    text.remove_prefix(1);
    if (spec.type == '\0') return std::nullopt;
  }
  if (!text.empty() || !fits(spec, kind, has_sign)) return std::nullopt;
  return spec;
}

std::string FormatSpec::pad(std::string_view text, char default_align) const {
  const int missing = width - display_width(text);
  if (missing <= 0) return std::string(text);
  const char side = align == '\0' ? default_align : align;
  const int before = side == '<' ? 0 : side == '^' ? missing / 2 : missing;
  std::string padded;
  for (int i = 0; i < before; ++i) padded += fill;
  padded += text;
  for (int i = before; i < missing; ++i) padded += fill;
  return padded;
}

std::string FormatSpec::finish_number(bool negative, std::string_view prefix, std::string_view digits,
                                      std::size_t group) const {
  std::string front = negative ? "-" : sign == '-' ? "" : std::string(1, sign);
  front += prefix;
  const std::size_t whole = std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  // An exponent is no part of the digits that are grouped: without a point, "1e+06" begins with one digit.
  const std::size_t end = group == 3 ? std::min(digits.find_first_of("eE"), whole) : whole;
  std::string integer(digits.substr(0, end));
  const std::string_view rest = digits.substr(end);
  const auto total = [&] {
    const std::string text = grouping == '\0' ? integer : grouped(integer, grouping, group);
    return front.size() + text.size() + rest.size();
  };
  if (align == '=') {
    // Zeros take part in the grouping, other characters do not.
    if (fill == "0") {
      while (total() < static_cast<std::size_t>(width)) integer.insert(0, 1, '0');
    } else {
      for (std::size_t i = total(); i < static_cast<std::size_t>(width); ++i) front += fill;
    }
  }
  const std::string text = grouping == '\0' ? integer : grouped(integer, grouping, group);
  return pad(front + text + std::string(rest), '>');
}

std::string FormatSpec::format_missing() const {
  FormatSpec blank = *this;
  blank.fill = " ";
  return blank.pad("?", '>');
}

std::string FormatSpec::format(std::string_view value) const {
  if (precision) {
    std::size_t bytes = 0;
    for (int left = *precision; left > 0 && bytes < value.size(); --left) {
      bytes += first_character(value.substr(bytes)).bytes;
    }
    value = value.substr(0, bytes);
  }
  return pad(value, '<');
}

std::string FormatSpec::format(std::uint64_t value) const {
  if (is_one_of(type, "eEfFgG%")) return format(static_cast<double>(value));
  const bool hexadecimal = type == 'x' || type == 'X';
  const int base = hexadecimal ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  char text[65];
  std::string digits(text, std::to_chars(text, text + sizeof text, value, base).ptr);
  const std::string prefix = alternate && base != 10 ? std::string("0") + type : "";
  if (type == 'X') {
    std::transform(digits.begin(), digits.end(), digits.begin(),
                   [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  }
  return finish_number(false, prefix, digits, base == 10 ? 3 : 4);
}

std::string FormatSpec::format(double value) const {
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double size = std::fabs(value);
  std::string digits;
  if (!std::isfinite(size)) {
    digits = std::isnan(size) ? "nan" : "inf";
    if (type == '%') digits += '%';
  } else if (type == '\0') {
    digits = precision ? print_untyped(size, *precision) : shortest(size);
  } else if (type == '%') {
    digits = print_real(size * 100, 'f', precision.value_or(6)) + '%';
  } else if (type == 'f' || type == 'F') {
    digits = print_real(size, 'f', precision.value_or(6));
  } else if (type == 'e' || type == 'E') {
    digits = print_real(size, 'e', precision.value_or(6));
  } else {
    digits = print_real(size, 'g', std::max(precision.value_or(6), 1));
  }
  if (type == 'E' || type == 'G') std::replace(digits.begin(), digits.end(), 'e', 'E');
  return finish_number(negative, "", digits, 3);
}

}  // namespace brood::bars
