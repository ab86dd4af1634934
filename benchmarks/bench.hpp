// What the benchmark programs share: a clock, medians, and one JSON object per line for `compare` to read.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace bench {

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

template <class F>
double median_seconds(int repeats, F&& f) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) seconds.push_back(seconds_of(f));
  return median(std::move(seconds));
}

inline void report(const char* key, double value, const char* unit) {
  std::printf("{\"key\": \"%s\", \"value\": %.9g, \"unit\": \"%s\"}\n", key, value, unit);
  std::fflush(stdout);
}

// Work that the compiler cannot shorten: each step needs the one before it.
inline std::uint32_t spin(std::uint32_t steps) {
  std::uint32_t state = 1;
  for (std::uint32_t i = 0; i < steps; ++i) {
    state = state * 1664525U + 1013904223U;
    asm volatile("" : "+r"(state));
  }
  return state;
}

// How many steps of spin() take this long, alone on a CPU.
inline std::uint32_t steps_for(double microseconds) {
  constexpr std::uint32_t kSteps = 2'000'000;
  double best = 1e9;
  for (int i = 0; i < 10; ++i) best = std::min(best, seconds_of([] { spin(kSteps); }));
  return static_cast<std::uint32_t>(microseconds * 1e-6 / best * kSteps);
}

struct Measure {
  const char* name;
  void (*run)(bool quick);
};

// argv: the measure's name, then perhaps --quick; with no name, the names are listed.
template <std::size_t N>
int main(int argc, char** argv, const Measure (&measures)[N]) {
  const bool quick = argc > 2 && std::strcmp(argv[2], "--quick") == 0;
  for (const Measure& measure : measures) {
    if (argc < 2) {
      std::puts(measure.name);
    } else if (std::strcmp(argv[1], measure.name) == 0) {
      measure.run(quick);
      return 0;
    }
  }
  return argc < 2 ? 0 : 2;
}

}  // namespace bench
