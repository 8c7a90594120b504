import { begin } from "./chrome.js";

begin();
