// Starts processes that run the code of a library, which is opened, replaced, closed and opened again.
//
// usage: loader LIBRARY ANOTHER_BUILD, which are first copied into the working directory
#include <brood/pool.hpp>
#include <brood/process.hpp>

#include <dlfcn.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "report.hpp"

namespace {

namespace fs = std::filesystem;
using brood::StartMethod;
using programs::expect;

const StartMethod kMethods[] = {StartMethod::fork, StartMethod::forkserver, StartMethod::spawn};
const StartMethod kFreshMethods[] = {StartMethod::forkserver, StartMethod::spawn};

class Library {
 public:
  explicit Library(const fs::path& path) : handle_(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::runtime_error(::dlerror());
  }
  Library(const Library&) = delete;
  ~Library() { close(); }
  void close() {
    if (handle_ != nullptr) ::dlclose(handle_);
    handle_ = nullptr;
  }
  template <class F>
  F* get(const char* name) const {
    return reinterpret_cast<F*>(::dlsym(handle_, name));
  }

 private:
  void* handle_;
};

// In one step, so that whoever has the old file open or mapped keeps it.
void put(const fs::path& from, const fs::path& to) {
  const fs::path fresh = to.string() + ".new";
  fs::copy_file(from, fresh, fs::copy_options::overwrite_existing);
  fs::rename(fresh, to);
}

int exit_code_of(StartMethod method, void (*function)(int), int code) {
  brood::Process process(brood::ProcessOptions{.start_method = method}, function, code);
  process.start();
  process.join();
  return process.exitcode().value_or(-1);
}

std::vector<int> map_with(StartMethod method, int (*function)(int)) {
  brood::Pool pool(brood::PoolOptions{.processes = 2, .start_method = method});
  return pool.map(function, std::vector{1, 2});
}

void expect_library_works(const Library& library, int build) {
  for (const StartMethod method : kMethods) {
    const std::string who = "build " + std::to_string(build) + ", method " + std::to_string(static_cast<int>(method));
    expect(library.get<int()>("library_build")() == build, who + ": the build");
    expect(exit_code_of(method, library.get<void(int)>("library_exit"), 5) == 5 * build, who + ": a function");
    expect(map_with(method, library.get<int(int)>("library_scale")) == std::vector{100 + build, 200 + build},
           who + ": a task");
    int lambda = 0, object = 0;
    library.get<void(StartMethod, int*, int*)>("library_start")(method, &lambda, &object);
    expect(lambda == 7 * build, who + ": its lambda");
    expect(object == 10 * build, who + ": its object");
    std::vector<int> results;
    library.get<void(StartMethod, std::vector<int>*)>("library_map")(method, &results);
    expect(results == std::vector{build, 2 * build, 3 * build}, who + ": its tasks");
  }
}

void expect_refusal(const std::string& what, const std::string& words, const std::function<void()>& action) {
  try {
    action();
    expect(false, what + ": no error");
  } catch (const brood::Error& error) {
    const std::string text = error.what();
    expect(text.find(words) != std::string::npos, what + ": " + text);
  }
}

// A new process loads the file that is there now, which is not what this one has.
void expect_mismatch(const Library& library, const std::string& words) {
  for (const StartMethod method : kFreshMethods) {
    expect_refusal("a process of a changed library", words,
                   [&] { exit_code_of(method, library.get<void(int)>("library_exit"), 5); });
    expect_refusal("a task of a changed library", words,
                   [&] { map_with(method, library.get<int(int)>("library_scale")); });
    expect_refusal("a changed library's own process", words, [&] {
      int lambda = 0, object = 0;
      library.get<void(StartMethod, int*, int*)>("library_start")(method, &lambda, &object);
    });
  }
  expect(exit_code_of(StartMethod::fork, library.get<void(int)>("library_exit"), 5) == 5, "fork inherits it");
  expect(map_with(StartMethod::fork, library.get<int(int)>("library_scale")) == std::vector{101, 201}, "by fork");
}

void check(const fs::path& build_1, const fs::path& build_2) {
  const fs::path file = fs::current_path() / "library of brood.so";
  put(build_1, file);
  {
    Library library(file);
    expect_library_works(library, 1);
    library.close();
  }
  {
    Library library(file);  // again
    expect_library_works(library, 1);
    put(build_2, file);
    expect_mismatch(library, file);
    fs::remove(file);
    expect_mismatch(library, file);
    put("/proc/self/exe", file);
    expect_mismatch(library, file);
  }
  put(build_2, file);
  Library library(file);
  expect_library_works(library, 2);

  const auto gone = library.get<void(int)>("library_exit");
  library.close();
  if (void* const still_there = ::dlopen(file.c_str(), RTLD_NOW | RTLD_NOLOAD)) {
    programs::report("the library was not closed");
    ::dlclose(still_there);
    return;
  }
  for (const StartMethod method : kFreshMethods) {
    expect_refusal("a function of a closed library", "no loaded module", [&] { exit_code_of(method, gone, 1); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  brood::init(argc, argv);
  programs::report("main");
  try {
    check(argv[1], argv[2]);
  } catch (const std::exception& error) {
    expect(false, error.what());
  }
  return programs::verdict();
}
