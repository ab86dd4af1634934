// The functions of a pool: their numbers, and functions of libraries that workers have not opened.
#include "pool/functions.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <set>
#include <thread>

#include "pool/support.hpp"
#include "wire/elf_image.hpp"
#include "wire/function/library.hpp"

namespace brood::pool_tests {
namespace {

namespace fs = std::filesystem;
using engine::Function;
using engine::Functions;

int plus_one(int x) { return x + 1; }
int plus_two(int x) { return x + 2; }

struct Bad {
  int operator()(int x) const { return x; }
  template <class A>
  void serialize(A&) {
    throw std::runtime_error("no");
  }
  int state = 0;
};

template <class F>
wire::FunctionRef ref_of(const F& f) {
  return detail::make_function_ref<F, false, int>(f);
}

TEST(PoolFunctions, APermanentOneIsOneEntry) {
  Functions functions;
  int (*const one)(int) = &plus_one;
  int (*const two)(int) = &plus_two;
  Function* const first = functions.obtain(ref_of(one));
  EXPECT_EQ(functions.obtain(ref_of(one)), first);
  Function* const second = functions.obtain(ref_of(two));
  EXPECT_NE(second, first);
  EXPECT_NE(second->number, first->number);
  EXPECT_NE(first->number, 0U) << "0 is no function";
  functions.release(first);  // it stays
  EXPECT_EQ(functions.obtain(ref_of(one)), first);
  EXPECT_EQ(functions.obtain(ref_of(two)), second);
  const auto lambda = [](int x) { return x; };
  const auto like_it = [](int x) { return x; };
  EXPECT_NE(functions.obtain(ref_of(lambda)), functions.obtain(ref_of(like_it)));
}

TEST(PoolFunctions, NumbersAreUsedAgainInANewGeneration) {
  Functions functions;
  int by = 3;
  const auto with_state = [by](int x) { return x + by; };
  Function* const first = functions.obtain(ref_of(with_state));
  const std::uint32_t number = first->number, generation = first->generation;
  Function* const other = functions.obtain(ref_of(with_state));
  EXPECT_NE(other->number, number) << "its state may differ";
  functions.release(first);
  Function* const again = functions.obtain(ref_of(with_state));
  EXPECT_EQ(again->number, number);
  EXPECT_GT(again->generation, generation);
  EXPECT_EQ(again->task_ns, 0);
  functions.release(nullptr);
}

TEST(PoolFunctions, WhatCannotBeSavedIsAnError) {
  Functions functions;
  EXPECT_THROW(functions.obtain(ref_of(Bad{})), std::runtime_error);
  int (*const one)(int) = &plus_one;
  EXPECT_NE(functions.obtain(ref_of(one)), nullptr);
}

TEST(PoolFunctions, FromManyThreads) {
  Functions functions;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&functions, t] {
      for (std::size_t i = 0; i < scaled(3000); ++i) {
        int (*const pointer)(int) = i % 2 == 0 ? &plus_one : &plus_two;
        const Function* const permanent = functions.obtain(ref_of(pointer));
        ASSERT_EQ(functions.obtain(ref_of(pointer)), permanent);
        const auto lambda = [t](int x) { return x + t; };
        Function* const mine = functions.obtain(ref_of(lambda));
        ASSERT_NE(mine, permanent);
        functions.release(mine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Each worker is told anew when a number stands for something else; also a worker that has just replaced another.
TEST(PoolFunctions, ManyStatesOneAfterTheOther) {
  Pool pool(2);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(pool.map([i](int x) { return x * i; }, numbers(3)), (std::vector{0, i, 2 * i}));
    if (i % 50 == 25) {
      EXPECT_THROW(pool.apply([i](int) -> int { die(i % 2 == 0 ? Death::killed : Death::exit_3); }, 1), WorkerDied);
    }
  }
}

TEST(PoolFunctions, StatesOfAnySize) {
  Pool pool(2);
  for (const std::size_t size : {10U, 40'000U, 65'000U, 131'000U, 131'072U, 200'000U, 3'000'000U}) {
    const auto f = brood::bind([](const std::string& text, int x) { return text.size() + static_cast<std::size_t>(x); },
                               std::string(size, 's'));
    EXPECT_EQ(pool.apply(f, 1), size + 1);
    EXPECT_EQ(pool.map(f, numbers(3)), (std::vector{size, size + 1, size + 2}));
    EXPECT_EQ(pool.apply_async(f, 5).get(), size + 5);
  }
  expect_works(pool);
}

// A record that says something else in the workers than here, as after a rebuild.
int answer(int x) { return x; }
wire::FunctionRecord changing = detail::RecordOf<int (*)(int), false, int>::record;

class RawJob final : public detail::Job {
 public:
  explicit RawJob(const wire::FunctionRef& f) : Job(kOps, f) {
    total = 1;
    total_known = true;
  }
  std::exception_ptr what;

 private:
  static void fill(Job& job, detail::FrameWriter& frame) {
    wire::save(frame.begin(), 1);
    frame.end();
    job.input_done = true;
  }
  static void value(Job&, std::uint64_t, wire::Reader&) {}
  static void error(Job& job, std::uint64_t, std::exception_ptr e) { static_cast<RawJob&>(job).what = std::move(e); }
  static bool satisfied(Job& job) { return job.done.load(); }
  static constexpr Ops kOps{&fill, &value, &error, &satisfied, nullptr, nullptr};
};

TEST(PoolFunctions, AnotherSignatureIsAClearError) {
  const std::uint64_t right = changing.signature;
  engine::EngineRef engine{PoolOptions{.processes = 1}};
  changing.signature ^= 1;  // the workers have the old one
  int (*const pointer)(int) = &answer;
  wire::FunctionRef ref = ref_of(pointer);
  ref.record = &changing;
  for (int i = 0; i < 2; ++i) {
    RawJob job(ref);
    engine::run(*engine.get(), job, "apply");
    ASSERT_TRUE(job.what);
    const auto error = thrown_by<RemoteError>([&] { std::rethrow_exception(job.what); });
    EXPECT_NE(error.message().find("signature"), std::string::npos) << error.message();
  }
  changing.signature = right;
  engine::leave(*engine.get(), false);
}

// --- libraries -----------------------------------------------------------------------------------------------------

class PoolLibrary : public ::testing::Test {
 protected:
  PoolLibrary() {
    std::string folder = (fs::temp_directory_path() / "brood-pool-library-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = fs::canonical(folder);
    path_ = folder_ / "library.so";
  }
  ~PoolLibrary() override {
    close();
    fs::remove_all(folder_);
  }
  using Call = int (*)(int, int);

  Call open(int build) {
    close();
    fs::remove(path_);
    constexpr const char* kBuilds[] = {BROOD_WIRE_FUNCTIONS_1, BROOD_WIRE_FUNCTIONS_2, BROOD_WIRE_FUNCTIONS_3};
    fs::copy_file(kBuilds[build - 1], path_);
    library_ = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) throw std::runtime_error(::dlerror());
    return reinterpret_cast<Call>(::dlsym(library_, "library_function"));
  }
  void close() {
    if (library_ != nullptr) ::dlclose(library_);
    library_ = nullptr;
  }

  fs::path folder_, path_;
  void* library_ = nullptr;
};

TEST_F(PoolLibrary, OpenedAfterThePoolWasMade) {
  Pool pool(2);
  EXPECT_EQ(pool.apply(plus_one, 1), 2);
  const Call call = open(1);
  EXPECT_EQ(pool.apply(call, 1, 2), 1003);
  const std::vector<std::tuple<int, int>> pairs(50, {20, 22});
  EXPECT_EQ(pool.starmap(call, pairs), std::vector<int>(50, 1042));
  // A worker that comes later has to open it as well.
  EXPECT_THROW(pool.apply([](int) -> int { die(Death::killed); }, 1), WorkerDied);
  EXPECT_EQ(pool.starmap(call, pairs), std::vector<int>(50, 1042));
  EXPECT_EQ(pool.apply(brood::bind(call, 40), 2), 1042);
}

TEST_F(PoolLibrary, ARebuiltFileIsAClearError) {
  Pool pool(1);
  const Call call = open(3);  // which no test before has left open
  const std::string mine = wire::identity_of_file(path_);
  fs::remove(path_);
  fs::copy_file(BROOD_WIRE_FUNCTIONS_2, path_);
  const std::string theirs = wire::identity_of_file(path_);
  const auto error = thrown_by<RemoteError>([&] { pool.apply(call, 1, 2); });
  EXPECT_NE(error.message().find(path_.string()), std::string::npos) << error.message();
  EXPECT_NE(error.message().find(mine), std::string::npos) << error.message();
  EXPECT_NE(error.message().find(theirs), std::string::npos) << error.message();
  EXPECT_EQ(pool.apply(plus_one, 1), 2);
}

// Closed, built anew and opened again, at the same address: the result of the new build, or an error that says so, but
// never that of the old one.
TEST_F(PoolLibrary, ReloadedIsNeverTheOldBuild) {
  using Plugin = int (*)(int);
  const auto open_plugin = [&](const char* file) {
    close();
    fs::remove(path_);
    fs::copy_file(file, path_);
    library_ = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) throw std::runtime_error(::dlerror());
    return reinterpret_cast<Plugin>(::dlsym(library_, "plugin_function"));
  };
  Pool pool(1);
  const Plugin first = open_plugin(BROOD_WIRE_PLUGIN_SHA1_1);
  EXPECT_EQ(pool.apply(first, 3), 4);
  const Plugin second = open_plugin(BROOD_WIRE_PLUGIN_SHA1_2);
  ASSERT_EQ(second(3), 44);
  try {
    EXPECT_EQ(pool.apply(second, 3), 44) << (first == second ? "at the same address" : "elsewhere");
  } catch (const RemoteError& error) {
    EXPECT_NE(error.message().find("another build"), std::string::npos) << error.message();
  }
  EXPECT_EQ(pool.apply(plus_one, 1), 2);
}

}  // namespace
}  // namespace brood::pool_tests
