// How Process keeps a callable of any type. Not for users.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

namespace brood::detail {

struct ProcessState;

// What a child runs.
class ProcessBody {
 public:
  ProcessBody() = default;
  ProcessBody(const ProcessBody&) = delete;
  ProcessBody& operator=(const ProcessBody&) = delete;
  virtual ~ProcessBody();
  virtual void run() = 0;
};

class ProcessBodyOwner {
 public:
  explicit ProcessBodyOwner(ProcessBody* body) noexcept : body_(body) {}
  ProcessBodyOwner(ProcessBodyOwner&& other) noexcept : body_(other.release()) {}
  ProcessBodyOwner& operator=(ProcessBodyOwner&&) = delete;
  ~ProcessBodyOwner() { delete body_; }
  ProcessBody* release() noexcept { return std::exchange(body_, nullptr); }

 private:
  ProcessBody* body_;
};

template <class F, class... Args>
class BoundBody final : public ProcessBody {
 public:
  template <class G, class... A>
  explicit BoundBody(std::in_place_t, G&& f, A&&... args) : f_(std::forward<G>(f)), args_(std::forward<A>(args)...) {}

  void run() override { std::apply(std::move(f_), std::move(args_)); }

 private:
  F f_;
  std::tuple<Args...> args_;
};

template <class F, class... Args>
ProcessBodyOwner make_process_body(F&& f, Args&&... args) {
  static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                "brood::Process: f cannot be called with copies of these arguments as rvalues; use std::ref for a "
                "parameter that is an lvalue reference");
  return ProcessBodyOwner(new BoundBody<std::decay_t<F>, std::decay_t<Args>...>(std::in_place, std::forward<F>(f),
                                                                                std::forward<Args>(args)...));
}

}  // namespace brood::detail
