// The bar itself: "████▌     ".
//
// Thread safety: immutable values. Across fork: values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace brood::bars {

// The characters of a bar, from empty to full; those between are parts of a full one.
class Charset {
 public:
  static const Charset& blocks();
  static const Charset& ascii();
  static const Charset& blank();
  // Throws std::invalid_argument for fewer than two characters, or one that does not take one column.
  static Charset custom(std::string_view characters);

  // `columns` characters of which the part `fraction` is full; empty for no columns.
  std::string draw(double fraction, int columns) const;

 private:
  explicit Charset(std::string_view characters);

  std::vector<std::string> steps_;
};

// The escape sequence of a colour's name ("green", in any case) or "#00ff00"; empty for an empty name. Throws
// std::invalid_argument for any other.
std::string colour_sequence(std::string_view colour);

}  // namespace brood::bars
