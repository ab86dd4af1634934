// A stream over an endless input of which only five results are taken.
// Better here: the peer reads its whole input and keeps every result; this one reads as far ahead as the window allows.
#include <brood/pool.hpp>

#include <cstdio>
#include <ranges>

int fn(int a) { return a * a; }

int main() {
  constexpr std::size_t kWindow = 16;
  std::size_t read = 0;
  auto data = std::views::iota(0) | std::views::transform([&read](int value) {
                ++read;
                return value;
              });

  brood::Pool pool(2);
  std::size_t taken = 0;
  for (int result : pool.with(brood::TaskOptions{.window = kWindow}).imap(fn, data)) {
    std::printf("%d\n", result);
    if (++taken == 5) break;
  }
  std::printf("bounded: %s\n", read <= taken + kWindow ? "yes" : "no");
}
