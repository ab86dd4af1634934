// Starts processes and a pool by every start method. The same source is built in many ways and run in many
// circumstances; what must come out is always the same.
//
// $PROGRAM_WAIT: reads a line from stdin before the first start. $PROGRAM_CHDIR: goes there before. $PROGRAM_IGNORED: a
// signal that every process must find ignored. $PROGRAM_REFUSED: what the errors of forkserver and spawn must say.
#include <brood/pool.hpp>
#include <brood/process.hpp>

#include <sys/auxv.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "report.hpp"
#include "surroundings.hpp"

namespace {

using brood::StartMethod;
using programs::expect;
using programs::Surroundings;

// What children exit with when all is as it should be; no other way to end gives these.
enum Code { kFunction = 40, kLambda, kObject, kValues, kNested, kTwin };

void leave_if(bool good, int code) { std::exit(good ? code : 1); }

void look_around(const Surroundings& expected) {
  const std::string different = programs::difference(expected);
  if (!different.empty()) programs::report("failed: in a child, different:" + different);
  leave_if(different.empty(), kFunction);
}

void take_values(const std::string& text, const std::vector<std::string>& words,
                 const std::map<std::string, std::vector<int>>& table) {
  leave_if(text == std::string(100'000, 'x') && words == std::vector<std::string>{"", "two words", "\xC3\xBC"} &&
               table.at("primes") == std::vector{2, 3, 5, 7},
           kValues);
}

class Greeter : public brood::ProcessType<Greeter> {
 public:
  Greeter() = default;
  Greeter(brood::ProcessOptions options, std::string greeting)
      : ProcessType(std::move(options)), greeting_(std::move(greeting)) {}
  template <class A>
  void serialize(A& archive) {
    archive(greeting_, numbers_);
  }
  void run() override {
    leave_if(greeting_ == "hello" && numbers_ == std::vector{1.5, 2.5} && name() == "greeter", kObject);
  }

 private:
  std::string greeting_;
  std::vector<double> numbers_{1.5, 2.5};
};

// Their code is the same, so that a linker may make one of them.
template <int Number>
struct Twin {
  long id;
  int operator()(int x) const { return x * 3 + static_cast<int>(id); }
};

struct Point {
  int x = 0, y = 0;
};

void start_another() {
  const StartMethod method = brood::get_start_method();
  brood::Process grandchild([method] { leave_if(brood::get_start_method() == method, kNested); });
  grandchild.start();
  grandchild.join();
  std::exit(grandchild.exitcode().value_or(1));
}

template <class P>
void run(P&& process, int code, const std::string& what) {
  expect(!process.exitcode(), what + ": an exit code before the start");
  process.start();
  process.join();
  expect(process.exitcode() == code, what + ": exit code " + std::to_string(process.exitcode().value_or(-1000)));
}

void use_processes(StartMethod method, const std::string& name, const Surroundings& here) {
  const brood::ProcessOptions options{.start_method = method};
  run(brood::Process(options, look_around, here), kFunction, name + " function");

  const Point point{3, 4};
  run(brood::Process(
          options, [point, factor = 2.5](int x) { leave_if(point.x + point.y + x == 12 && factor == 2.5, kLambda); },
          5),
      kLambda, name + " lambda");
  run(Greeter({.name = "greeter", .start_method = method}, "hello"), kObject, name + " object");
  const std::map<std::string, std::vector<int>> table{{"primes", {2, 3, 5, 7}}};
  run(brood::Process(options, take_values, std::string(100'000, 'x'),
                     std::vector<std::string>{"", "two words", "\xC3\xBC"}, table),
      kValues, name + " values");
  run(brood::Process(options, start_another), kNested, name + " nested");
  run(brood::Process(
          options, [first = Twin<1>{1}, second = Twin<2>{2}] { leave_if(first(10) == 31 && second(10) == 32, kTwin); }),
      kTwin, name + " twins");
  run(brood::Process(options, [] {}), 0, name + " nothing");
}

std::size_t length(const std::string& text) { return text.size(); }
int scale_by(int factor, int x) { return factor * x; }

void use_pool(StartMethod method, const std::string& name, const Surroundings& here) {
  brood::Pool pool(brood::PoolOptions{.processes = 2, .start_method = method});
  const std::vector<int> numbers{1, 2, 3, 4, 5};
  expect(pool.map([](int x) { return x * x; }, numbers) == std::vector{1, 4, 9, 16, 25}, name + " map, lambda");
  expect(pool.map(Twin<1>{1}, numbers) == std::vector{4, 7, 10, 13, 16}, name + " map, a twin");
  expect(pool.map(Twin<2>{2}, numbers) == std::vector{5, 8, 11, 14, 17}, name + " map, the other twin");
  expect(pool.map(length, std::vector<std::string>{"", "abc", std::string(200'000, 'y')}) ==
             std::vector<std::size_t>{0, 3, 200'000},
         name + " map, strings");
  expect(pool.map(brood::bind(scale_by, 7), numbers) == std::vector{7, 14, 21, 28, 35}, name + " map, bound");
  for (const std::string& different : pool.map(programs::difference, std::vector<Surroundings>(4, here))) {
    expect(different.empty(), name + " pool, different:" + different);
  }
}

void must_refuse(StartMethod method, const std::string& name, const std::string& words) {
  const auto check = [&](const char* what, auto&& start) {
    try {
      start();
      expect(false, name + ": " + what + " was not refused");
    } catch (const brood::ProcessError& error) {
      expect(std::string(error.what()).find(words) != std::string::npos, name + ": " + what + ": " + error.what());
    }
  };
  check("a process", [&] { brood::Process(brood::ProcessOptions{.start_method = method}, [] {}).start(); });
  check("a pool", [&] { brood::Pool(brood::PoolOptions{.processes = 1, .start_method = method}); });
}

void use(StartMethod method, const std::string& name, const Surroundings& here) {
  const char* const refused = std::getenv("PROGRAM_REFUSED");
  brood::set_start_method(method);
  try {
    if (refused != nullptr && method != StartMethod::fork) return must_refuse(method, name, refused);
    use_processes(method, name, here);
    use_pool(method, name, here);
  } catch (const std::exception& error) {
    expect(false, name + ": " + error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  brood::init(argc, argv);
  programs::report("main");
  if (::getauxval(AT_SECURE) == 0 && std::getenv("PROGRAM_REFUSED") != nullptr) programs::report("not elevated");
  if (std::getenv("PROGRAM_WAIT") != nullptr) {
    std::puts("ready");
    std::fflush(stdout);
    std::getchar();
  }
  if (const char* const directory = std::getenv("PROGRAM_CHDIR")) expect(::chdir(directory) == 0, "chdir");
  const Surroundings here = programs::surroundings();
  use(StartMethod::fork, "fork", here);
  use(StartMethod::forkserver, "forkserver", here);
  use(StartMethod::spawn, "spawn", here);
  const std::string different = programs::difference(here);
  expect(different.empty(), "the program's own, different:" + different);
  std::puts(programs::failed ? "failed" : "ok");
  return programs::verdict();
}
