// Callables whose compiled code is equal byte for byte, linked so that equal code is kept once. Each must be called
// with its own types all the same.
#include <brood/pool.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

int failures = 0;

template <class T>
void expect(const char* what, const T& got, const T& wanted) {
  if (got == wanted) return;
  ++failures;
  std::printf("%s: wrong result\n", what);
}

template <int I>
int same_code(int x) {
  return x + 1;
}
template <int I>
struct Tag {
  int operator()(int x) const { return x + 1; }
};

// Equal code for the processor, other types: what comes back must be of the right one.
int as_int(int x) { return x; }
unsigned as_unsigned(unsigned x) { return x; }
std::int32_t of_two(std::int32_t x, std::int32_t) { return x; }
std::uint32_t of_two_unsigned(std::uint32_t x, std::uint32_t) { return x; }

struct Metres {
  int value;
  bool operator==(const Metres&) const = default;
};
struct Seconds {
  int value;
  bool operator==(const Seconds&) const = default;
};
Metres further(Metres m) { return {m.value + 1}; }
Seconds later(Seconds s) { return {s.value + 1}; }

template <int... I>
void many(brood::Pool& pool, std::integer_sequence<int, I...>) {
  const std::vector<int> in{1, 2, 3}, out{2, 3, 4};
  (expect("function template", pool.map(same_code<I>, in), out), ...);
  (expect("functor template", pool.map(Tag<I>{}, in), out), ...);
}

}  // namespace

int main() {
  int (*volatile one)(int) = &same_code<1>;  // the compiler takes them for different
  int (*volatile two)(int) = &same_code<2>;
  std::printf("functions are %sfolded\n", one == two ? "" : "not ");
  brood::Pool pool(2);
  many(pool, std::make_integer_sequence<int, 40>{});
  expect("int", pool.apply(as_int, -1), -1);
  expect("unsigned", pool.apply(as_unsigned, 0xFFFF'FFFFU), 0xFFFF'FFFFU);
  expect("two", pool.apply(of_two, -1, 2), -1);
  expect("two unsigned", pool.apply(of_two_unsigned, 1U, 2U), 1U);
  expect("metres", pool.apply(further, Metres{1}), Metres{2});
  expect("seconds", pool.apply(later, Seconds{1}), Seconds{2});
  const auto first = [](int x) { return x + 1; };
  const auto second = [](int x) { return x + 1; };
  const auto third = [](int x) { return x + 3; };
  int by = 5;
  const auto captures = [by](int x) { return x + by; };
  for (int i = 0; i < 3; ++i) {
    expect("first lambda", pool.apply(first, 1), 2);
    expect("second lambda", pool.apply(second, 1), 2);
    expect("third lambda", pool.apply(third, 1), 4);
    expect("capturing lambda", pool.apply(captures, 1), 6);
  }
  expect("string", pool.apply([](const std::string& s) { return s + "x"; }, "a"), std::string("ax"));
  expect("bytes", pool.apply([](const std::vector<char>& s) { return s.size(); }, std::vector<char>(5)),
         std::size_t{5});
  return failures == 0 ? 0 : 1;
}
