// brood::bind() and Task: callables in the form in which they travel.
#pragma once

#include <brood/detail/function.hpp>

#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace brood {

// A callable with its first arguments, all of which travel serialized: brood::bind(f, 1, "text")(x) calls f(1, text,
// x). `f` is anything that can be sent itself; text given as a literal is kept as std::string. An argument is a value,
// a function, a member pointer or what another bind() made.
template <class F, class... Args>
class Bound {
 public:
  explicit Bound(F f, Args... args) : f_(std::move(f)), args_(std::move(args)...) {}

  template <class... More>
  requires detail::callable_with<F, Args..., More...>
  decltype(auto) operator()(More&&... more) {
    return call(std::index_sequence_for<Args...>{}, static_cast<More&&>(more)...);
  }

  void save_state(wire::Writer& w) const {
    detail::CallableCodec<F>::save(f_, w);
    save_args(w, std::index_sequence_for<Args...>{});
  }
  static Bound load_state(wire::Reader& r) { return Bound(r); }

 private:
  explicit Bound(wire::Reader& r) : f_(detail::CallableCodec<F>::load(r)), args_{detail::load_bound<Args>(r)...} {}

  template <std::size_t... I, class... More>
  decltype(auto) call(std::index_sequence<I...>, More&&... more) {
    return detail::invoke(f_, std::get<I>(args_)..., static_cast<More&&>(more)...);
  }
  template <std::size_t... I>
  void save_args(wire::Writer& w, std::index_sequence<I...>) const {
    (detail::save_bound(w, std::get<I>(args_)), ...);
  }

  F f_;
  std::tuple<Args...> args_;
};

// Binds the first arguments of `f`; see Bound.
template <class F, class... Args>
Bound<std::decay_t<F>, detail::shipped_t<Args>...> bind(F&& f, Args&&... args) {
  return Bound<std::decay_t<F>, detail::shipped_t<Args>...>(static_cast<F&&>(f),
                                                            detail::shipped_t<Args>(static_cast<Args&&>(args))...);
}

// Any callable without arguments that can be sent, already in the form in which it travels.
class Task {
 public:
  Task() = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Task> && detail::callable_with<std::decay_t<F>>)
      // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): the constraint leaves copies alone
      Task(F&& f) {  // implicit: PoolOptions{.initializer = setup}
    const std::decay_t<F> callable(static_cast<F&&>(f));
    const wire::FunctionRef ref = detail::make_function_ref<std::decay_t<F>, false>(callable);
    wire::Writer state;
    ref.record->save(&callable, state);
    record_ = ref.record;
    state_ = state.take_string();
  }

  explicit operator bool() const noexcept { return record_ != nullptr; }
  const wire::FunctionRecord* record() const noexcept { return record_; }
  const std::string& state() const noexcept { return state_; }

 private:
  const wire::FunctionRecord* record_ = nullptr;
  std::string state_;
};

}  // namespace brood
