/** The example operators in TypeScript: the same in every language. The build takes this file. */

import { describe } from "millstream-plugin";

// Importing a module registers its operators.
import "./currency.js";
import "./hostile.js";
import "./hostile-keyed.js";
import "./hostile-sum.js";
import "./json-pick.js";
import "./mean.js";
import "./sessions.js";
import "./split-words.js";

describe("examples-typescript", "0.1.0", "The example operators, in TypeScript.");
