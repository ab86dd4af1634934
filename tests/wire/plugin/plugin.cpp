// Loaded and unloaded by module_test.cpp. PLUGIN_BUILD tells two builds of it apart.
#include <cstdlib>

namespace {

// Tells the test that this build's initializers have run.
[[maybe_unused]] const int loaded = setenv("BROOD_PLUGIN_LOADED", PLUGIN_BUILD == 1 ? "1" : "2", 1);

}  // namespace

extern "C" int plugin_function(int x) { return PLUGIN_BUILD == 1 ? x + 1 : x * x * x + 17; }

extern "C" {
extern const int plugin_data;
const int plugin_data = 1000 + PLUGIN_BUILD;
}
