# Sources are listed, never globbed: each folder has a sources.cmake that sets one variable.
# tools/check_layers.py refuses a source that is in no list.

# Reads <folder>/sources.cmake and sets `variable` to the paths of the list named `list`.
function(cubinet_read_sources variable folder list)
  include("${folder}/sources.cmake")
  set(sources)
  foreach(source IN LISTS ${list})
    list(APPEND sources "${folder}/${source}")
  endforeach()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()

# Sets `variable` to the sources of every src/<layer> named.
function(cubinet_layer_sources variable)
  set(all)
  foreach(layer IN LISTS ARGN)
    string(TOUPPER "${layer}" upper)
    cubinet_read_sources(sources "${PROJECT_SOURCE_DIR}/src/${layer}" CUBINET_SOURCES_${upper})
    list(APPEND all ${sources})
  endforeach()
  set(${variable} ${all} PARENT_SCOPE)
endfunction()

# Sets `variable` to the sources of tools/<tool>.
function(cubinet_tool_sources variable tool)
  string(TOUPPER "${tool}" upper)
  cubinet_read_sources(sources "${PROJECT_SOURCE_DIR}/tools/${tool}" CUBINET_SOURCES_${upper})
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
