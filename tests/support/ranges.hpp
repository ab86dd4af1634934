// Ranges made by hand, because clang before 16 cannot compile libstdc++'s views.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <utility>

// Tests of the views themselves run where they compile.
#if !defined(__clang__) || __clang_major__ >= 16
#define BROOD_TEST_VIEWS 1
#else
#define BROOD_TEST_VIEWS 0
#endif

namespace brood::testing {

// f(from), f(from + 1) and so on, up to where a derived class ends it. Its elements are no objects, each is made when
// it is read; its iterators refer to it.
template <class F>
class Made {
 public:
  class Iterator {
   public:
    using value_type = std::decay_t<std::invoke_result_t<const F&, int>>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::forward_iterator_tag;

    Iterator() = default;
    Iterator(const F* make, int at) : make_(make), at_(at) {}
    value_type operator*() const { return std::invoke(*make_, at_); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++at_;
      return before;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const F* make_ = nullptr;
    int at_ = 0;
  };

  Made(int from, F make) : from_(from), make_(std::move(make)) {}
  Iterator begin() const { return at(from_); }

 protected:
  Iterator at(int i) const { return Iterator(&make_, i); }

 private:
  int from_;
  F make_;
};

template <class F = std::identity>
class Endless : public Made<F> {
 public:
  explicit Endless(int from, F make = {}) : Made<F>(from, std::move(make)) {}
  std::unreachable_sentinel_t end() const { return {}; }
};

// The elements of 0 to count - 1.
template <class F>
class Counted : public Made<F> {
 public:
  Counted(int count, F make) : Made<F>(0, std::move(make)), count_(count) {}
  auto end() const { return this->at(count_); }
  std::size_t size() const { return static_cast<std::size_t>(count_); }

 private:
  int count_;
};

}  // namespace brood::testing
