// A library to load: callables, and starts of processes from its own code. LIBRARY_BUILD tells two builds of it apart.
#include <brood/pool.hpp>
#include <brood/process.hpp>

#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Member : brood::ProcessType<Member> {
  explicit Member(brood::ProcessOptions options = {}) : ProcessType(std::move(options)) {}
  template <class A>
  void serialize(A& archive) {
    archive(code);
  }
  void run() override { std::exit(code); }
  int code = 10 * LIBRARY_BUILD;
};

template <class P>
int exit_code_of(P&& process) {
  process.start();
  process.join();
  return process.exitcode().value_or(-1);
}

#if LIBRARY_BUILD == 2
// Moves what follows, so that nothing is where it was.
[[gnu::used]] int padding(int x) { return x * x * x + 7; }
#endif

}  // namespace

extern "C" int library_build() { return LIBRARY_BUILD; }
extern "C" int library_scale(int x) { return x * 100 + LIBRARY_BUILD; }
extern "C" void library_exit(int code) { std::exit(code * LIBRARY_BUILD); }

// What the library's own lambda, and its own class, exit with: 7 and 10, times the build.
extern "C" void library_start(brood::StartMethod method, int* lambda, int* object) {
  const brood::ProcessOptions options{.start_method = method};
  *lambda = exit_code_of(brood::Process(
      options, [seven = 7](const std::string& text) { std::exit(text == "x" ? seven * LIBRARY_BUILD : 1); }, "x"));
  *object = exit_code_of(Member(options));
}

// 1, 2, 3, each times the build.
extern "C" void library_map(brood::StartMethod method, std::vector<int>* results) {
  brood::Pool pool(brood::PoolOptions{.processes = 2, .start_method = method});
  *results = pool.map([](int x) { return x * LIBRARY_BUILD; }, std::vector{1, 2, 3});
}
