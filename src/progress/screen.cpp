#include "progress/screen.hpp"

namespace brood::bars {
namespace {

constexpr std::string_view kClearRest = "\x1b[K";   // of the line
constexpr std::string_view kClearBelow = "\x1b[J";  // the rest of the line and all lines below

}  // namespace

std::string Screen::show(const std::vector<std::string>& rows, int columns, bool thorough) {
  std::string bytes;
  if (columns < columns_ && !shown_.empty()) {
    bytes += kClearBelow;
    shown_.clear();
  }
  columns_ = columns;
  std::size_t at = 0;
  const auto go_down_to = [&](std::size_t row) {
    bytes.append(row - at, '\n');
    at = row;
  };
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!thorough && row < shown_.size() && shown_[row] == rows[row]) continue;
    go_down_to(row);
    bytes += rows[row];
    bytes += kClearRest;
    bytes += '\r';
  }
  if (rows.size() < shown_.size()) {
    go_down_to(rows.size());
    bytes += kClearBelow;
  }
  if (at > 0) bytes += "\x1b[" + std::to_string(at) + "A";
  shown_ = rows;
  return bytes.empty() ? bytes : "\r" + bytes;
}

std::string Screen::print_above(std::string_view text, const std::vector<std::string>& rows, int columns) {
  std::string bytes = "\r";
  if (!shown_.empty()) bytes += kClearBelow;
  for (const char c : text) {
    // The terminal may be in raw mode, where a line feed alone does not return.
    if (c == '\n') bytes += '\r';
    bytes += c;
  }
  bytes += "\r\n";
  shown_.clear();
  return bytes + show(rows, columns, false);
}

std::string Screen::step_over() {
  std::string bytes;
  for (std::size_t row = 0; row < shown_.size(); ++row) bytes += bytes.empty() ? "\r\n" : "\n";
  shown_.clear();
  return bytes;
}

}  // namespace brood::bars
