// A stream over an endless input of which only five results are taken.
// Better here: the peer reads its whole input and keeps every result; this one reads as far ahead as the window allows.
#include <brood/pool.hpp>

#include <cstddef>
#include <cstdio>
#include <iterator>

int fn(int a) { return a * a; }

// 0, 1, 2, ... without an end; it tells how far it was read.
class Numbers {
 public:
  class Iterator {
   public:
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(Numbers& numbers) : numbers_(&numbers) {}
    int operator*() const { return numbers_->read_; }
    Iterator& operator++() {
      ++numbers_->read_;
      return *this;
    }
    void operator++(int) { ++*this; }

   private:
    Numbers* numbers_;
  };
  Iterator begin() { return Iterator(*this); }
  std::unreachable_sentinel_t end() const { return {}; }
  int read() const { return read_; }

 private:
  int read_ = 0;
};

int main() {
  constexpr int kWindow = 16;
  Numbers data;
  brood::Pool pool(2);
  int taken = 0;
  for (int result : pool.with(brood::TaskOptions{.window = kWindow}).imap(fn, data)) {
    std::printf("%d\n", result);
    if (++taken == 5) break;
  }
  std::printf("bounded: %s\n", data.read() <= taken + kWindow ? "yes" : "no");
}
