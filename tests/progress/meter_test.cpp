#include "progress/meter.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <optional>
#include <string>

#include "progress/figures.hpp"
#include "progress/golden.hpp"

namespace brood::bars {
namespace {

std::string answer(const testing::Golden::Input& input) {
  const Layout layout = Layout::parse(input.bar_format);
  const std::string colour = colour_sequence(input.colour);
  std::optional<Charset> charset;
  if (*input.characters != '\0') charset = Charset::custom(input.characters);
  Meter meter;
  meter.n = input.n;
  meter.total = input.total;
  meter.initial = input.initial;
  meter.elapsed_s = input.elapsed_s;
  meter.rate = input.rate;
  meter.desc = input.desc;
  meter.postfix = input.postfix;
  meter.unit = input.unit;
  meter.unit_scale = input.unit_scale;
  meter.unit_divisor = input.unit_divisor;
  meter.ncols = input.ncols;
  if (charset) meter.charset = &*charset;
  meter.colour = colour;
  return format_meter(meter, layout);
}

TEST(Meter, AnswersAsTqdmDoes) {
  for (const testing::Golden& golden : testing::kGolden) {
    EXPECT_EQ(answer(golden.input), golden.line) << "bar_format \"" << golden.input.bar_format << "\", n "
                                                 << golden.input.n << ", ncols " << golden.input.ncols.value_or(-1);
  }
}

TEST(Meter, LeavesOutTheColonAfterAnEmptyDescription) {
  EXPECT_EQ(answer({.n = 1, .total = 2, .bar_format = "{desc}: {n}|"}), "1|");
  EXPECT_EQ(answer({.n = 1, .bar_format = "{desc}: {n}|"}), "1|");
  EXPECT_EQ(answer({.n = 1, .desc = "a", .bar_format = "{desc}: {n}|"}), "a: 1|");
  EXPECT_EQ(answer({.n = 1, .desc = "a: "}), "a: 1it [00:00, ?it/s]");
}

TEST(Meter, ShowsAQuestionMarkForNumbersThatAreNotKnown) {
  EXPECT_EQ(answer({.n = 1, .bar_format = "{total} {rate} {rate:6.1f}|{ncols:<3}|{nrows:03}|{eta}"}),
            "? ?      ?|?  |  ?|?");
}

TEST(Meter, NeverDividesByZeroNorOverflows) {
  EXPECT_EQ(answer({.n = 0, .total = 0, .elapsed_s = 0, .ncols = 40}), "0it [00:00, ?it/s]");
  EXPECT_EQ(answer({.n = UINT64_MAX, .total = UINT64_MAX, .elapsed_s = 1e-9, .ncols = 1}), "1");
  EXPECT_NE(answer({.n = 1, .total = UINT64_MAX, .elapsed_s = 1e300, .ncols = 200}), "");
  EXPECT_NE(answer({.n = 1, .total = UINT64_MAX, .elapsed_s = 1e300, .bar_format = "{eta} {remaining_s:.3f}"}), "");
}

TEST(Meter, TellsTheTimeOfDayOfTheEnd) {
  const std::time_t before = std::time(nullptr) + 3600;
  const std::string text = answer({.n = 1, .total = 2, .elapsed_s = 3600, .bar_format = "{eta:%s}"});
  const std::time_t after = std::time(nullptr) + 3600;
  EXPECT_GE(std::stoll(text), before);
  EXPECT_LE(std::stoll(text), after);
  EXPECT_EQ(answer({.n = 1, .total = 2, .elapsed_s = 1, .bar_format = "{eta}"}).size(),
            std::string("2024-01-01 00:00:00").size());
}

TEST(Figures, ShortenNumbersAsTqdmDoes) {
  EXPECT_EQ(format_number(0.123456), "0.123");
  EXPECT_EQ(format_number(0.5), "0.5");
  EXPECT_EQ(format_number(100000.0), "1e+5");
  EXPECT_EQ(format_number(1e-5), "1e-5");
  EXPECT_EQ(format_number(1e100), "1e+100");
  EXPECT_EQ(format_number(std::int64_t{123456}), "123456");
  EXPECT_EQ(format_number(std::int64_t{12345678}), "1.23e+7");
  EXPECT_EQ(format_number(std::int64_t{-3}), "-3");
  EXPECT_EQ(format_number(std::uint64_t{7}), "7");
}

TEST(Figures, WriteTimesAsAClock) {
  EXPECT_EQ(format_interval(0), "00:00");
  EXPECT_EQ(format_interval(59.99), "00:59");
  EXPECT_EQ(format_interval(3600), "1:00:00");
  EXPECT_EQ(format_interval(-61), "-01:01");
  EXPECT_EQ(format_interval(1e300), format_interval(9e18));
}

}  // namespace
}  // namespace brood::bars
