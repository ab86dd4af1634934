#include "progress/format_spec.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace brood::bars {
namespace {

// The expected texts are Python's.

struct RealCase {
  double value;
  const char* spec;
  const char* text;
};

TEST(FormatSpec, WritesRealNumbersAsPython) {
  const RealCase cases[] = {
      {3.0, ".3", "3.0"},
      {123.0, ".3", "1.23e+02"},
      {12.0, ".3", "12.0"},
      {0.00001, ".3", "1e-05"},
      {5.0, ".1", "5e+00"},
      {9.9, ".2", "9.9"},
      {99.0, ".2", "9.9e+01"},
      {1.5, "10", "       1.5"},
      {1e16, "", "1e+16"},
      {1e15, "", "1000000000000000.0"},
      {1e-5, "", "1e-05"},
      {0.0001, "", "0.0001"},
      {100000.0, "", "100000.0"},
      {0.5, ".0f", "0"},
      {0.25, "%", "25.000000%"},
      {0.5, ".1%", "50.0%"},
      {-1.5, "08.2f", "-0001.50"},
      {12345.678, "+.2e", "+1.23e+04"},
      {1234567.891, ",.2f", "1,234,567.89"},
      {1e6, "g", "1e+06"},
      {1e-10, "G", "1E-10"},
      {45.0, "3.0f", " 45"},
      {2.5, "*^9.1f", "***2.5***"},
      {-2.5, "*=9.1f", "-*****2.5"},
      {2.5, "é>6.1f", "ééé2.5"},
      {std::numeric_limits<double>::infinity(), "06.1f", "000inf"},
      {std::nan(""), "", "nan"},
      {1e308, ".0f", nullptr},
  };
  for (const RealCase& c : cases) {
    const auto spec = FormatSpec::parse(c.spec, FieldKind::real);
    ASSERT_TRUE(spec) << c.spec;
    if (c.text == nullptr) {
      EXPECT_EQ(spec->format(c.value).size(), 309u);
    } else {
      EXPECT_EQ(spec->format(c.value), c.text) << c.spec;
    }
  }
}

struct IntegerCase {
  std::uint64_t value;
  const char* spec;
  const char* text;
};

TEST(FormatSpec, WritesWholeNumbersAsPython) {
  const IntegerCase cases[] = {
      {1234, "06,", "01,234"},
      {123456, "08,", "0,123,456"},
      {1234567, "_", "1_234_567"},
      {1234567890, "_x", "4996_02d2"},
      {255, "x", "ff"},
      {255, "#X", "0XFF"},
      {255, "#010x", "0x000000ff"},
      {5, "b", "101"},
      {8, "o", "10"},
      {42, "^9", "   42    "},
      {5, "*<6", "5*****"},
      {3, "+", "+3"},
      {3, " ", " 3"},
      {3, ".1f", "3.0"},
      {12345, "e", "1.234500e+04"},
      {1, "%", "100.000000%"},
      {7, "n", "7"},
      {UINT64_MAX, "d", "18446744073709551615"},
  };
  for (const IntegerCase& c : cases) {
    const auto spec = FormatSpec::parse(c.spec, FieldKind::integer);
    ASSERT_TRUE(spec) << c.spec;
    EXPECT_EQ(spec->format(c.value), c.text) << c.spec;
  }
}

TEST(FormatSpec, WritesTextByColumns) {
  const auto format = [](const char* spec, std::string_view text) {
    return FormatSpec::parse(spec, FieldKind::text)->format(text);
  };
  EXPECT_EQ(format("6", "ab"), "ab    ");
  EXPECT_EQ(format(">6s", "ab"), "    ab");
  EXPECT_EQ(format("^7", "ab"), "  ab   ");
  EXPECT_EQ(format("05", "ab"), "ab000");
  EXPECT_EQ(format(".1", "äb"), "ä");
  EXPECT_EQ(format(">6", "日本"), "  日本");
}

TEST(FormatSpec, RefusesWhatIsNone) {
  for (const char* spec : {"d", "+5", "=5", "5,", "#", "5x", "..", ".", "5.", "99999999999", "5 ", "s5"}) {
    EXPECT_FALSE(FormatSpec::parse(spec, FieldKind::text)) << spec;
  }
  for (const char* spec : {"s", ".2d", ".2", "n,", ",n", ",x", "5.x", "1.2.3", "c"}) {
    EXPECT_FALSE(FormatSpec::parse(spec, FieldKind::integer)) << spec;
  }
  for (const char* spec : {"d", "x", "s", ".f", "#.2f", "f2", "5..2f"}) {
    EXPECT_FALSE(FormatSpec::parse(spec, FieldKind::real)) << spec;
  }
}

}  // namespace
}  // namespace brood::bars
