// The numbers of a progress line, written as tqdm writes them.
//
// Thread safety: pure functions. Across fork: nothing is kept.
#pragma once

#include <cstdint>
#include <string>

namespace brood::bars {

// Three significant digits and a metric prefix: 1.23k, 45.6M. With `divisor` 1024 for bytes.
std::string format_sizeof(double value, double divisor);

// A number of seconds as [H:]MM:SS.
std::string format_interval(double seconds);

// The shorter of all digits and three significant ones: 0.123, 45, 1.23e+7.
std::string format_number(double value);
std::string format_number(std::int64_t value);
std::string format_number(std::uint64_t value);

}  // namespace brood::bars
