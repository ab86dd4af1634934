// What the headers need of <atomic>, which costs every translation unit 50 ms.
//
// Orders are those of std::memory_order, which is taken as well. Thread safety: all. Across fork: plain memory.
#pragma once

#include <cstddef>

namespace brood::detail {

enum class Order : int {
  relaxed = __ATOMIC_RELAXED,
  acquire = __ATOMIC_ACQUIRE,
  release = __ATOMIC_RELEASE,
  acq_rel = __ATOMIC_ACQ_REL,
  seq_cst = __ATOMIC_SEQ_CST,
};

// Of a number or a pointer that the machine reads and writes in one piece.
template <class T>
class Atomic {
  static constexpr std::size_t kBytes = sizeof(T);  // NOLINT(bugprone-sizeof-expression): of a pointer as well
  static_assert(__atomic_always_lock_free(kBytes, nullptr));

 public:
  constexpr explicit Atomic(T value) noexcept : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  template <class O = Order>
  T load(O order = O{__ATOMIC_SEQ_CST}) const noexcept {
    T value;
    __atomic_load(&value_, &value, static_cast<int>(order));
    return value;
  }
  template <class O = Order>
  void store(T value, O order = O{__ATOMIC_SEQ_CST}) noexcept {
    __atomic_store(&value_, &value, static_cast<int>(order));
  }
  template <class O = Order>
  T exchange(T value, O order = O{__ATOMIC_SEQ_CST}) noexcept {
    T before;
    __atomic_exchange(&value_, &value, &before, static_cast<int>(order));
    return before;
  }
  // May fail without a reason; `expected` is then what is there. The order is that of success; a failure has none.
  template <class O>
  bool compare_exchange_weak(T& expected, T value, O order) noexcept {
    return __atomic_compare_exchange(&value_, &expected, &value, true, static_cast<int>(order), __ATOMIC_RELAXED);
  }
  // Return what was there before.
  template <class O = Order>
  T fetch_add(T by, O order = O{__ATOMIC_SEQ_CST}) noexcept {
    return __atomic_fetch_add(&value_, by, static_cast<int>(order));
  }
  template <class O = Order>
  T fetch_sub(T by, O order = O{__ATOMIC_SEQ_CST}) noexcept {
    return __atomic_fetch_sub(&value_, by, static_cast<int>(order));
  }

 private:
  alignas(kBytes) T value_;
};

}  // namespace brood::detail
