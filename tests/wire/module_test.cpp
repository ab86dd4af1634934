#include "wire/module.hpp"

#include <brood/error.hpp>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>

#include "os/support.hpp"
#include "wire/elf_image.hpp"

namespace brood::wire {
namespace {

namespace fs = std::filesystem;

const int some_data = 5;
int some_function(int x) { return x; }

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const ProcessError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no ProcessError";
  return {};
}

TEST(Module, TheProgramItself) {
  const CodeAddress function = locate(reinterpret_cast<const void*>(&some_function));
  EXPECT_EQ(function.path, "");
  EXPECT_FALSE(function.build_id.empty());
  EXPECT_EQ(resolve(function), reinterpret_cast<const void*>(&some_function));
  const CodeAddress data = locate(&some_data);
  EXPECT_EQ(data.build_id, function.build_id);
  EXPECT_EQ(resolve(data, sizeof(some_data)), &some_data);
}

TEST(Module, ASharedLibrary) {
  const void* address = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
  const CodeAddress place = locate(address);
  EXPECT_EQ(place.path.front(), '/');
  EXPECT_EQ(resolve(place), address);
}

TEST(Module, NeitherStackNorHeap) {
  const int on_stack = 0;
  const auto on_heap = std::make_unique<int>();
  EXPECT_THROW(locate(&on_stack), ProcessError);
  EXPECT_THROW(locate(on_heap.get()), ProcessError);
  EXPECT_THROW(locate(nullptr), ProcessError);
}

TEST(Module, OffsetsAreChecked) {
  CodeAddress place = locate(&some_data);
  for (const std::uint64_t offset : {std::uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 8}) {
    place.offset = offset;
    EXPECT_THROW(resolve(place), ArchiveError);
  }
  place = locate(&some_data);
  EXPECT_THROW(resolve(place, std::size_t{1} << 40), ArchiveError);
  EXPECT_THROW(resolve(place, SIZE_MAX), ArchiveError);
}

TEST(Module, AnotherProgram) {
  CodeAddress place = locate(&some_data);
  const std::string present = place.build_id;
  place.build_id = "0123";
  const std::string message = message_of([&] { resolve(place); });
  EXPECT_NE(message.find("the program itself"), std::string::npos);
  EXPECT_NE(message.find("0123"), std::string::npos);
  EXPECT_NE(message.find(present), std::string::npos);
}

TEST(Module, CanBeArchived) {
  const CodeAddress place = locate(&some_data);
  EXPECT_EQ(from_bytes<CodeAddress>(to_bytes(place)), place);
}

TEST(Module, NotALibrary) {
  CodeAddress place{"0123", "", 0};
  for (const char* path : {"/nonexistent/library.so", "/dev/null", "/", "relative.so", "/proc/self/status"}) {
    place.path = path;
    EXPECT_NE(message_of([&] { resolve(place); }).find(path), std::string::npos);
  }
}

// Each build in turn lies at the same path, as when a file is replaced while the program runs.
class Plugin : public ::testing::TestWithParam<bool> {
 protected:
  Plugin() {
    std::string folder = (fs::temp_directory_path() / "brood-module-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = fs::canonical(folder);
    path_ = folder_ / "plugin.so";
    unsetenv("BROOD_PLUGIN_LOADED");
  }
  ~Plugin() override { fs::remove_all(folder_); }

  void install(int build) {
    const char* with_id[] = {BROOD_WIRE_PLUGIN_SHA1_1, BROOD_WIRE_PLUGIN_SHA1_2};
    const char* without[] = {BROOD_WIRE_PLUGIN_NONE_1, BROOD_WIRE_PLUGIN_NONE_2};
    fs::remove(path_);
    fs::copy_file((GetParam() ? with_id : without)[build - 1], path_);
  }

  CodeAddress locate_in_library(const char* symbol) {
    void* library = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    const CodeAddress place = locate(dlsym(library, symbol));
    EXPECT_EQ(resolve(place), dlsym(library, symbol));
    dlclose(library);
    EXPECT_EQ(dlopen(path_.c_str(), RTLD_NOW | RTLD_NOLOAD), nullptr) << "the library was not unloaded";
    unsetenv("BROOD_PLUGIN_LOADED");
    return place;
  }

  fs::path folder_, path_;
};

TEST_P(Plugin, IsLoadedWhenItIsNot) {
  install(1);
  const CodeAddress function = locate_in_library("plugin_function");
  const CodeAddress data = locate_in_library("plugin_data");
  EXPECT_EQ(function.path, path_);
  EXPECT_EQ(function.build_id.starts_with("layout-"), !GetParam());
  EXPECT_EQ(identity_of_file(path_), function.build_id);
  const auto call = reinterpret_cast<int (*)(int)>(reinterpret_cast<std::uintptr_t>(resolve(function)));
  EXPECT_EQ(call(4), 5);
  EXPECT_EQ(*static_cast<const int*>(resolve(data, sizeof(int))), 1001);
  // Gone again for the other tests: resolve() never unloads.
  void* library = dlopen(path_.c_str(), RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(library, nullptr);
  dlclose(library);
  dlclose(library);
}

TEST_P(Plugin, AnotherBuildIsRefusedBeforeItRuns) {
  install(1);
  const CodeAddress function = locate_in_library("plugin_function");
  install(2);
  const std::string present = identity_of_file(path_);
  EXPECT_NE(present, function.build_id);
  const std::string message = message_of([&] { resolve(function); });
  EXPECT_NE(message.find(path_), std::string::npos);
  EXPECT_NE(message.find(present), std::string::npos);
  EXPECT_NE(message.find(function.build_id), std::string::npos);
  EXPECT_EQ(std::getenv("BROOD_PLUGIN_LOADED"), nullptr);
}

TEST_P(Plugin, AnotherBuildThatIsLoadedIsRefused) {
  install(1);
  const CodeAddress function = locate_in_library("plugin_function");
  install(2);
  void* library = dlopen(path_.c_str(), RTLD_NOW);
  ASSERT_NE(library, nullptr);
  EXPECT_THROW(resolve(function), ProcessError);
  dlclose(library);
}

// The same build may lie elsewhere.
TEST_P(Plugin, SameBuildAtAnotherPath) {
  install(1);
  CodeAddress function = locate_in_library("plugin_function");
  void* library = dlopen(path_.c_str(), RTLD_NOW);
  function.path = "/elsewhere/plugin.so";
  EXPECT_EQ(resolve(function), dlsym(library, "plugin_function"));
  dlclose(library);
}

// Opened anew it usually has the address of the one before.
TEST_P(Plugin, EachBuildHasItsOwnName) {
  for (const int build : {1, 2, 1, 1, 2}) {
    install(build);
    EXPECT_EQ(locate_in_library("plugin_function").build_id, identity_of_file(path_));
    remember_modules();
    EXPECT_EQ(locate_in_library("plugin_function").build_id, identity_of_file(path_));
  }
}

TEST_P(Plugin, AddressesThatMayBeClosed) {
  EXPECT_FALSE(may_be_closed(&some_data));
  EXPECT_FALSE(may_be_closed(reinterpret_cast<const void*>(&some_function)));
  EXPECT_FALSE(may_be_closed(reinterpret_cast<const void*>(std::uintptr_t{17}))) << "a member's offset";
  install(1);
  const auto before = closed_modules();
  void* const library = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  EXPECT_TRUE(may_be_closed(dlsym(library, "plugin_function")));
  EXPECT_EQ(closed_modules(), before);
  dlclose(library);
  EXPECT_NE(closed_modules(), before);
}

// A child that does not ask the loader, and closes or replaces a library that was open at the fork.
TEST_P(Plugin, AChildTrustsOnlyWhatIsStillThere) {
  install(2);
  const std::string second = identity_of_file(path_);
  install(1);
  remember_modules();
  void* const library = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr);
  const CodeAddress place = locate(dlsym(library, "plugin_function"));
  remember_modules();
  const int status = os::testing::run_in_child([&] {
    trust_remembered_modules();
    if (closed_modules() || resolve(place) != dlsym(library, "plugin_function")) return 1;
    if (locate(dlsym(library, "plugin_function")) != place) return 2;
    dlclose(library);
    install(2);
    void* const other = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (locate(dlsym(other, "plugin_function")).build_id != second) return 3;
    try {
      resolve(place);
      return 4;
    } catch (const ProcessError&) {
    }
    dlclose(other);
    install(1);
    const auto again = reinterpret_cast<int (*)(int)>(reinterpret_cast<std::uintptr_t>(resolve(place)));
    return again(4) == 5 ? 0 : 5;
  });
  EXPECT_EQ(status, 0);
  dlclose(library);
}

TEST_P(Plugin, DamagedFilesAreNoCrash) {
  install(1);
  std::ifstream in(path_, std::ios::binary);
  const std::string original((std::istreambuf_iterator<char>(in)), {});
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string damaged = original;
    for (int i = 0; i < 8; ++i) {
      damaged[random() % (i < 6 ? 1000 : damaged.size())] = static_cast<char>(random());
    }
    if (round % 3 == 0) damaged.resize(random() % damaged.size());
    std::ofstream(path_, std::ios::binary) << damaged;
    EXPECT_NO_THROW(identity_of_file(path_));
  }
}

INSTANTIATE_TEST_SUITE_P(BuildId, Plugin, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "With" : "Without"; });

}  // namespace
}  // namespace brood::wire
